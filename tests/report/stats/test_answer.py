"""Tests the sentences of the answer for every way in which a sweep can end."""

from typing import Any

from made_up import Points, runs, seeds, trial

from raycal.report.runs import Trial
from raycal.report.stats.answer import Answer, answer, answers
from raycal.report.stats.guessing import LEARN_MORE

FULL = seeds("supervised", [(800, 0.972)], values={"annotated": [800]})
ONE_SEED = "This comparison rests on one seed, and one seed cannot tell differences of a few percent apart."


def ending(*accuracies: float) -> list[Points]:
    """Curves, one per seed, that rise by 0.2 from 50 to 100 interactions and end at these accuracies."""
    return [[(50, accuracy - 0.2), (100, accuracy)] for accuracy in accuracies]


def values(**by_key: Any) -> dict[str, Any]:
    """The same values in both iterations of a trial."""
    return {"values": {key: [value, value] for key, value in by_key.items()}}


def paragraphs(*trials: Trial) -> tuple[str, ...]:
    return only(*trials).paragraphs


def only(*trials: Trial) -> Answer:
    (found,) = answers(runs(*trials))
    return found


class TestWinner:
    def test_random_wins_because_clusters_are_refused(self) -> None:
        refused = values(clusters_shown=50, clusters_accepted=3, cluster_label_error=0.12)
        trials = (
            *seeds("random", *ending(0.85, 0.86, 0.87)),
            *seeds("cluster-only", *ending(0.6, 0.62, 0.61), **refused),
            *seeds("uncertain-only", *ending(0.7, 0.75, 0.71)),
        )
        assert paragraphs(*trials, *FULL) == (
            "After 100 human interactions, random has the highest accuracy, 0.860 (mean of 3 seeds): 0.140 more than "
            "the runner-up uncertain-only (95 % interval 0.074 to 0.206) and 0.250 more than cluster-only (0.225 to "
            "0.275); the expert refused 94 % of the clusters that cluster-only showed.",
            "The highest accuracy that at least two strategies reached in every seed is 0.700: random needed 61 "
            "interactions, and uncertain-only 96, which is 1.58 times as many (95 % interval 1.32 to 1.88).",
            "Full supervision, trained on the labels of all 800 images, has an accuracy of 0.972. No strategy reached "
            "90 % of that, 0.875.",
        )

    def test_clusters_win_because_more_is_annotated(self) -> None:
        more = values(clusters_shown=50, clusters_accepted=45, annotated=570)
        trials = (
            *seeds("random", *ending(0.75, 0.76, 0.78), **values(annotated=100)),
            *seeds("uncertain-only", *ending(0.80, 0.80, 0.82)),
            *seeds("cluster-only", *ending(0.89, 0.90, 0.94), **more),
        )
        assert only(*trials).budget_text == (
            "After 100 human interactions, cluster-only has the highest accuracy, 0.910 (mean of 3 seeds): 0.103 more "
            "than the runner-up uncertain-only (95 % interval 0.065 to 0.141) and 0.147 more than random (0.118 to "
            "0.175); by then cluster-only had annotated 570 images, and random 100."
        )

    def test_differences_within_chance_name_no_reason(self) -> None:
        more = values(clusters_shown=50, clusters_accepted=45, annotated=570)
        trials = (
            *seeds("random", *ending(0.75, 0.86, 0.87), **values(annotated=100)),
            *seeds("cluster-only", *ending(0.89, 0.80, 0.91), **more),
            *seeds("uncertain-only", *ending(0.88, 0.82, 0.89)),
            *seeds("uncertain+cluster", *ending(0.88, 0.82, 0.84)),
            *seeds("cluster+uncertain", *ending(0.88, 0.82, 0.83)),
        )
        assert paragraphs(*trials) == (
            "After 100 human interactions, cluster-only has the highest accuracy, 0.867 (mean of 3 seeds), but the "
            "seeds cannot tell it apart from the runner-up uncertain-only, which has 0.003 less (95 % interval of the "
            "difference -0.048 to 0.055), or from random, which has 0.040 less (-0.208 to 0.288). Nor can they tell it "
            "apart from uncertain+cluster or cluster+uncertain.",
            "The highest accuracy that at least two strategies reached in every seed is 0.820: uncertain-only needed "
            "90 interactions, and uncertain+cluster 94; the seeds cannot tell the two apart (1.05 times as many, 95 % "
            "interval 0.86 to 1.27).",
        )

    def test_one_seed_has_no_interval(self) -> None:
        assert paragraphs(*seeds("random", *ending(0.58)), *seeds("cluster-only", *ending(0.88)), *FULL) == (
            f"After 100 human interactions, cluster-only has the highest accuracy, 0.880: 0.300 more than random. "
            f"{ONE_SEED}",
            "The highest accuracy that at least two strategies reached is 0.580: cluster-only needed at most 50 "
            "interactions, and random 100, which is at least 2.00 times as many.",
            "Full supervision, trained on the labels of all 800 images, has an accuracy of 0.972. Only cluster-only "
            "reached 90 % of that, 0.875: it needed 99 interactions; random had 0.580 after 100 interactions. No "
            "strategy reached 95 % of that, 0.923.",
        )

    def test_tie(self) -> None:
        equal = (*seeds("random", *ending(0.85)), *seeds("cluster-only", *ending(0.85)))
        assert paragraphs(*equal, *seeds("uncertain-only", *ending(0.7))) == (
            "After 100 human interactions, random and cluster-only have the same accuracy, 0.850; uncertain-only has "
            f"0.150 less. {ONE_SEED}",
            "The highest accuracy that at least two strategies reached is 0.850: random and cluster-only both needed "
            "100 interactions.",
        )

    def test_tie_whose_seeds_differ(self) -> None:
        equal = (*seeds("random", *ending(0.85, 0.87)), *seeds("cluster-only", *ending(0.87, 0.85)))
        assert only(*equal, *seeds("uncertain-only", *ending(0.7, 0.85))).budget_text == (
            "After 100 human interactions, random and cluster-only have the same accuracy, 0.860 (mean of 2 seeds, 95 "
            "% interval of the difference -0.254 to 0.254); uncertain-only has 0.085 less (95 % interval of the "
            "difference -0.741 to 0.911), so the seeds cannot tell it apart from them."
        )

    def test_settings_of_one_strategy_are_compared(self) -> None:
        trials = (
            one
            for threshold, accuracies in ((0.7, (0.7, 0.86)), (0.8, (0.85, 0.87)), (0.9, (0.9, 0.92)))
            for one in seeds("cluster-only", *ending(*accuracies), expert={"purity_threshold": threshold})
        )
        assert paragraphs(*trials) == (
            "After 100 human interactions, cluster-only (purity threshold 0.9) has the highest accuracy, 0.910 (mean "
            "of 2 seeds): 0.050 more than the runner-up cluster-only (purity threshold 0.8) (95 % interval 0.050 to "
            "0.050). The seeds cannot tell it apart from cluster-only (purity threshold 0.7).",
            "The highest accuracy that at least two settings reached in every seed is 0.850: cluster-only (purity "
            "threshold 0.9) needed 86 interactions, and cluster-only (purity threshold 0.8) 98, which is 1.14 times as "
            "many (95 % interval 1.09 to 1.19).",
        )

    def test_best_setting_is_also_compared_with_other_strategies(self) -> None:
        trials = (
            *seeds("random", *ending(0.75)),
            *seeds("uncertain-only", *ending(0.77)),
            *seeds("cluster-only", *ending(0.8), expert={"purity_threshold": 0.7}),
            *seeds("cluster-only", *ending(0.9), expert={"purity_threshold": 0.9}),
        )
        assert only(*trials).budget_text == (
            "After 100 human interactions, cluster-only (purity threshold 0.9) has the highest accuracy, 0.900: 0.100 "
            "more than the runner-up cluster-only (purity threshold 0.7), 0.130 more than uncertain-only and 0.150 "
            f"more than random. {ONE_SEED}"
        )

    def test_budget_is_what_all_strategies_made(self) -> None:
        longer: Points = [(10, 0.3), (200, 0.9)]
        assert only(*seeds("random", longer), *seeds("cluster-only", *ending(0.85))).budget_text == (
            "After 100 human interactions, the most that all strategies made, cluster-only has the highest accuracy, "
            f"0.850: 0.266 more than random. {ONE_SEED}"
        )

    def test_upper_bound_does_not_win(self) -> None:
        best_first = {"clustering": {"name": "kmeans", "order": "oracle"}}
        trials = (
            *seeds("random", *ending(0.77)),
            *seeds("uncertain-only", *ending(0.7)),
            *seeds("cluster-only", *ending(0.95), **best_first),
        )
        assert only(*trials).budget_text == (
            f"After 100 human interactions, random has the highest accuracy, 0.770: 0.070 more than uncertain-only. "
            f"{ONE_SEED} cluster-only ends at 0.950, but it is an upper bound and no advice: it uses true labels that "
            "no person knows."
        )
        assert paragraphs(*trials[-1:]) == (
            "There is no strategy to recommend: all finished strategies are upper bounds, which use true labels that "
            "no person knows.",
        )


class TestNoWinner:
    def test_one_strategy_alone(self) -> None:
        assert paragraphs(*seeds("random", *ending(0.85, 0.86, 0.87))) == (
            "After 100 human interactions, random has an accuracy of 0.860 (mean of 3 seeds, 95 % interval 0.835 to "
            "0.885). It is the only strategy in the sweep, so there is nothing to compare it with.",
        )

    def test_one_strategy_of_which_others_have_not_finished(self) -> None:
        assert paragraphs(*seeds("random", *ending(0.85)), trial("cluster-only", status="unfinished")) == (
            "After 100 human interactions, random has an accuracy of 0.850 (one seed). There is nothing to compare it "
            "with yet: no trial of cluster-only has finished.",
            "Of 2 trials, 1 has not finished, and only finished trials count here.",
        )

    def test_all_at_chance_level(self) -> None:
        guessing = values(chance_accuracy=0.4)
        full = seeds("supervised", [(800, 0.39)], values={"chance_accuracy": [0.4], "annotated": [800]})
        trials = (
            *seeds("random", *ending(0.30, 0.35), **guessing),
            *seeds("cluster-only", *ending(0.3, 0.2), **guessing),
        )
        assert paragraphs(*trials, *full) == (
            "After 100 human interactions, no strategy is better than guessing: the highest accuracy is 0.325, of "
            "random, and guessing reaches up to 0.400 on these test images. So there is no winner. What to do: "
            f"{LEARN_MORE}.",
            "Full supervision, trained on the labels of all 800 images, has an accuracy of 0.390. Guessing reaches up "
            "to 0.400, so full supervision did not learn either.",
        )

    def test_all_but_the_winner_at_chance_level(self) -> None:
        guessing = values(chance_accuracy=0.4)
        trials = (*seeds("random", *ending(0.35), **guessing), *seeds("cluster-only", *ending(0.6), **guessing))
        assert paragraphs(*trials) == (
            f"After 100 human interactions, cluster-only has the highest accuracy, 0.600: 0.250 more than random. "
            f"{ONE_SEED} No other strategy is better than guessing, which reaches up to 0.400 here.",
        )

    def test_nothing_finished(self) -> None:
        waiting = trial("random", status="unfinished")
        assert paragraphs(waiting) == ("No trial has finished, so there is no answer yet.",)
        assert paragraphs(waiting, trial("cluster-only", status="failed")) == (
            "No trial has finished, so there is no answer yet.",
            "Of 2 trials, 1 failed and 1 has not finished, and only finished trials count here.",
        )

    def test_only_full_supervision(self) -> None:
        assert paragraphs(*FULL) == (
            "Full supervision has an accuracy of 0.972. No other strategy is in the sweep, so there is nothing to "
            "compare it with.",
        )
        assert paragraphs(*FULL, trial("random", status="unfinished")) == (
            "No trial of a strategy has finished, so there is no answer yet. Full supervision has an accuracy of "
            "0.972.",
            "Of 2 trials, 1 has not finished, and only finished trials count here.",
        )

    def test_no_number_of_interactions_in_common(self) -> None:
        early: Points = [(10, 0.3), (20, 0.5)]
        assert paragraphs(*seeds("random", early), *seeds("cluster-only", *ending(0.85))) == (
            "The strategies cannot be compared after the same number of interactions: random ended after 20, and "
            "cluster-only was first evaluated after 50.",
            "The highest accuracy that at least two strategies reached is 0.500: random needed 20 interactions, and "
            "cluster-only at most 50. It is unknown which of them needs fewer, because cluster-only had it when first "
            "evaluated.",
        )

    def test_accuracy_that_both_had_when_first_evaluated(self) -> None:
        had: Points = [(50, 0.8), (100, 0.7)]
        begin = "The highest accuracy that at least two strategies reached"
        unknown = "is 0.800: random needed at most 50 interactions, and cluster-only at most"
        assert only(*seeds("random", had), *seeds("cluster-only", had)).common_text == (
            f"{begin} {unknown} 50. It is unknown which of them needs fewer, because both had it when first evaluated."
        )
        later: Points = [(50, 0.6), (100, 0.8)]
        assert only(*seeds("random", had, had), *seeds("cluster-only", had, later)).common_text == (
            f"{begin} in every seed {unknown} 75. It is unknown which of them needs fewer, because in at least one "
            "seed cluster-only had it when first evaluated."
        )


class TestSeeds:
    RANDOM = seeds("random", *ending(0.75, 0.77, 0.78))

    def test_strategies_are_compared_over_the_seeds_that_all_finished(self) -> None:
        cluster = [*seeds("cluster-only", *ending(0.85, 0.86)), trial("cluster-only", seed=2, status="failed")]
        assert paragraphs(*self.RANDOM, *cluster) == (
            "After 100 human interactions, cluster-only has the highest accuracy, 0.855 (mean of the 2 seeds that all "
            "strategies finished): 0.095 more than random (95 % interval 0.031 to 0.159).",
            "The highest accuracy that at least two strategies reached in every seed is 0.750: cluster-only needed 74 "
            "interactions, and random 96, which is 1.32 times as many (95 % interval 1.13 to 1.54).",
            "Of 6 trials, 1 failed, and only finished trials count here.",
        )

    def test_one_seed_in_common(self) -> None:
        left = [trial("cluster-only", seed=1, status="unfinished"), trial("cluster-only", seed=2, status="stopped")]
        found = only(*self.RANDOM, *seeds("cluster-only", *ending(0.85)), *left)
        assert found.budget_text == (
            "After 100 human interactions, cluster-only has the highest accuracy, 0.850 (in the only seed that all "
            f"strategies finished): 0.100 more than random. {ONE_SEED}"
        )
        assert found.unfinished_text == (
            "Of 6 trials, 1 was stopped early and 1 has not finished, and only finished trials count here."
        )

    def test_no_seed_in_common(self) -> None:
        others = [trial("cluster-only", points, seed=5 + at) for at, points in enumerate(ending(0.85, 0.86, 0.88))]
        assert paragraphs(*self.RANDOM, *others) == (
            "After 100 human interactions, cluster-only has the highest accuracy, 0.863 (mean of 3 seeds): 0.097 more "
            "than random (95 % interval 0.062 to 0.131).",
            "The highest accuracy that at least two strategies reached in every seed is 0.750: cluster-only needed 72 "
            "interactions, and random 96.",
        )

    def test_strategy_without_a_finished_trial_is_named(self) -> None:
        waiting = trial("uncertain-only", status="unfinished")
        found = only(*self.RANDOM, *seeds("cluster-only", *ending(0.85, 0.86, 0.87)), waiting)
        assert found.unfinished_text == (
            "Of 7 trials, 1 has not finished, and only finished trials count here; no trial of uncertain-only has "
            "finished."
        )


class TestTargets:
    def test_targets_that_random_reaches_too(self) -> None:
        trials = (
            *seeds("random", [(10, 0.0), (80, 0.875)], [(10, 0.0), (82, 0.875)], [(10, 0.0), (90, 0.875)]),
            *seeds("cluster-only", *([(10, 0.0), (at, 0.9), (60, 0.95)] for at in (40, 41, 42))),
        )
        assert only(*trials, *FULL).target_texts == (
            "For 90 % of that, 0.875, cluster-only needed the fewest interactions, 41 (95 % interval 38 to 44); random "
            "needed 84.",
            "Only cluster-only reached 95 % of that, 0.923, in every seed: it needed 51 interactions (95 % interval 48 "
            "to 52); random had 0.875 after 90 interactions.",
            "No strategy reached 99 % of that, 0.962.",
        )

    def test_target_that_is_reached_in_some_seeds(self) -> None:
        sometimes = seeds("cluster-only", *ending(0.9, 0.7))
        assert (
            only(*sometimes, *seeds("random", *ending(0.3, 0.4)), *FULL).target_texts
            == ("No strategy reached 90 % of that, 0.875, in every seed; cluster-only did in 1 of 2 seeds.",) * 3
        )
        random = seeds("random", *ending(0.88, 0.7))
        (first, *_) = only(*seeds("cluster-only", *ending(0.9, 0.91)), *random, *FULL).target_texts
        assert first.endswith("interactions (95 % interval 80 to 106); random reached it in 1 of 2 seeds.")


def test_each_dataset_has_its_answer() -> None:
    of = runs(
        *(
            one
            for dataset, accuracies in (("digits", (0.75, 0.85)), ("cifar10", (0.45, 0.35)))
            for scenario, accuracy in zip(("random", "cluster-only"), accuracies, strict=True)
            for one in seeds(scenario, *ending(accuracy), dataset=dataset)
        )
    )
    assert answer(of).splitlines() == [
        f"On digits, after 100 human interactions, cluster-only has the highest accuracy, 0.850: 0.100 more than "
        f"random. {ONE_SEED}",
        "The highest accuracy that at least two strategies reached is 0.750: cluster-only needed 75 interactions, and "
        "random 100, which is 1.33 times as many.",
        f"On cifar10, after 100 human interactions, random has the highest accuracy, 0.450: 0.100 more than "
        f"cluster-only. {ONE_SEED}",
        "The highest accuracy that at least two strategies reached is 0.350: random needed 75 interactions, and "
        "cluster-only 100, which is 1.33 times as many.",
    ]
    assert [one.dataset for one in answers(of)] == ["digits", "cifar10"]
