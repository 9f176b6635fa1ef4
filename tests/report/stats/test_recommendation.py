import pytest
from made_up import Points, level, runs, seeds, trial

from raycal.report.runs import Trial
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.recommendation import Recommendation, recommend


def reaching(*interactions: float) -> list[Points]:
    """Curves, one per seed, that cross 0.81 (90 % of 0.9) after these numbers of interactions and end after 100."""
    return [[(10, 0.0), (needed, 0.81), (100, 0.82)] for needed in interactions]


def first(*trials: Trial) -> Recommendation:
    (found,) = by_dataset(runs(*trials))
    return recommend(found)[0]


FULL = seeds("supervised", [(800, 0.9)])


def test_fewest_interactions_and_saving_by_hand() -> None:
    found = first(*FULL, *seeds("random", *reaching(80, 82, 90)), *seeds("cluster-only", *reaching(40, 41, 45)))
    assert found.group is not None
    assert found.group.scenario == "cluster-only"
    assert (found.target, found.accuracy) == ("90 % of full supervision", pytest.approx(0.81))
    assert found.interactions is not None
    assert found.interactions.mean == pytest.approx(42)
    assert found.saving is not None
    assert found.saving.mean == pytest.approx(50)
    assert (found.saving_is_bound, found.rivals) == (False, ())
    assert found.answer == (
        "digits, accuracy 0.810 (90 % of full supervision): cluster-only needs the fewest interactions, "
        "42 [35, 49] (3 seeds); 50 [50, 50] % fewer than random."
    )


def test_groups_that_cannot_be_told_apart_are_named() -> None:
    found = first(
        *FULL,
        *seeds("random", *reaching(90, 92, 94)),
        *seeds("uncertain-only", *reaching(35, 45, 50)),
        *seeds("cluster-only", *reaching(40, 41, 45)),
    )
    assert [group.scenario for group in found.rivals] == ["uncertain-only"]
    assert found.answer.endswith("; no significant difference from uncertain-only.")


def test_saving_is_a_bound_where_random_does_not_get_there() -> None:
    never: Points = [(10, 0.0), (100, 0.5)]
    found = first(*FULL, *seeds("random", never, never), *seeds("cluster-only", *reaching(40, 60)))
    assert found.saving_is_bound
    assert found.saving is not None
    assert (found.saving.mean, found.saving.low) == (pytest.approx(50), None)
    assert "at least 50 % fewer than random" in found.answer


def test_one_seed_is_said() -> None:
    found = first(*FULL, *seeds("cluster-only", *reaching(40)))
    assert found.interactions is not None
    assert (found.interactions.n, found.interactions.low, found.saving) == (1, None, None)
    assert found.answer.endswith("40 (1 seed); one seed, so chance is not ruled out.")


def test_a_group_must_get_there_in_every_seed() -> None:
    sometimes = seeds("cluster-only", *reaching(20), [(10, 0.0), (100, 0.5)])
    found = first(*FULL, *sometimes, *seeds("random", *reaching(80, 90)))
    assert found.group is not None
    assert found.group.scenario == "random"
    assert found.saving is None
    alone = first(*FULL, *sometimes)
    assert alone.group is None
    assert alone.answer == (
        "digits, accuracy 0.810 (90 % of full supervision): no scenario reaches it in every seed; "
        "cluster-only reaches it in 1 of 2 seeds."
    )
    never = first(*FULL, *seeds("random", [(10, 0.0), (100, 0.5)]))
    assert never.answer == "digits, accuracy 0.810 (90 % of full supervision): no scenario reaches it."


def test_without_full_supervision_the_best_accuracy_is_the_measure() -> None:
    found = first(*seeds("random", [(10, 0.0), (100, 0.5)]), *seeds("cluster-only", [(10, 0.0), (100, 0.8)]))
    assert (found.target, found.accuracy) == ("90 % of the best final accuracy", pytest.approx(0.72))
    assert found.interactions is not None
    assert found.interactions.mean == pytest.approx(91)


def test_target_that_is_met_exactly_is_reached() -> None:
    found = first(
        *seeds("supervised", [(800, 0.8)]),
        *seeds("cluster-only", [(10, 0.0), (40, 0.72)], [(10, 0.0), (60, 0.72)]),
        *seeds("random", [(10, 0.0), (100, 0.72)], [(10, 0.0), (100, 0.72)]),
    )
    assert found.group is not None
    assert (found.group.scenario, found.saving_is_bound) == ("cluster-only", False)
    assert found.saving is not None
    assert found.saving.mean == pytest.approx(50)


def test_saving_is_unknown_where_both_had_the_accuracy_at_their_first_evaluation() -> None:
    at_once = first(*FULL, *seeds("random", *level(0.85, 0.85)), *seeds("cluster-only", *level(0.9, 0.9)))
    assert at_once.saving is None
    assert "fewer than random" not in at_once.answer
    in_one = first(
        *FULL, *seeds("random", *level(0.9), *reaching(80)), *seeds("cluster-only", *level(0.9), *reaching(40))
    )
    assert in_one.group is not None
    assert in_one.group.scenario == "cluster-only"
    assert in_one.saving is not None
    assert (in_one.saving.n, in_one.saving.mean, in_one.saving.low) == (1, pytest.approx(50), None)


def test_at_most_what_the_first_point_cost() -> None:
    answer = first(*FULL, *seeds("random", *level(0.9))).answer
    assert "random needs the fewest interactions, at most 10 (1 seed)" in answer


def test_interactions_are_whole_and_a_bound_is_not_rounded_up() -> None:
    never: Points = [(10, 0.0), (100, 0.5)]
    found = first(*FULL, *seeds("random", never, never), *seeds("cluster-only", *reaching(40.2, 41.9)))
    assert found.interactions is not None
    assert found.interactions.mean == 42  # the mean of 41 and 42, rounded up
    assert found.saving is not None
    assert found.saving.mean == pytest.approx(58.5)
    assert found.answer.endswith("interactions, 42 [35, 48] (2 seeds); at least 58 % fewer than random.")


def test_of_many_rivals_the_nearest_two_are_named() -> None:
    others = ["uncertain-only", "cluster-only", "uncertain+cluster", "cluster+uncertain"]
    trials = [
        trial
        for place, scenario in enumerate(others)
        for trial in seeds(scenario, *reaching(60 - place, 20 + place, 40 - place))
    ]
    found = first(*FULL, *trials)
    assert [group.scenario for group in found.rivals] == others[2::-1]
    assert found.answer.endswith("; no significant difference from uncertain+cluster, cluster-only and 1 more.")


def test_nothing_finished() -> None:
    found = first(trial("random", status="failed"))
    assert (found.group, found.accuracy) == (None, None)
    assert found.answer == "digits: no trial finished, so nothing is recommended."


def test_upper_bound_is_not_recommended() -> None:
    found = first(
        *FULL,
        *seeds("uncertain-only", *reaching(60, 61)),
        *seeds("cluster-only", *reaching(20, 21), clustering={"name": "kmeans", "order": "oracle"}),
    )
    assert found.group is not None
    assert found.group.scenario == "uncertain-only"
    assert found.rivals == ()
