"""For accuracies that guessing also reaches, the report names no winner and computes no cost."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from made_up import runs, trial

from raycal.report.figures.break_even_chart import saving_charts
from raycal.report.runs import Trial
from raycal.report.stats.break_even import break_even
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.stats.guessing import BETTER_TEST, LEARN_MORE, guessing_level, is_guessing
from raycal.report.stats.recommendation import recommend
from raycal.report.stats.targets import label_efficiency
from raycal.report.tables import tables


def ending(scenario: str, *accuracies: float, level: float | None, shown: int = 0) -> Trial:
    """A trial with these accuracies, ten interactions apart."""
    points = [(10.0 * (at + 1), accuracy) for at, accuracy in enumerate(accuracies)]
    values: dict[str, Sequence[float | None]] = {"clusters_shown": [shown] * len(points)}
    return trial(scenario, points, values=values | {"chance_accuracy": [level] * len(points)})


def compared(*trials: Trial) -> Comparison:
    (found,) = by_dataset(runs(*trials))
    return found


def answers(*trials: Trial) -> list[str]:
    return list(dict.fromkeys(found.answer for found in recommend(compared(*trials))))


def test_level_is_the_highest_of_all_splits() -> None:
    found = compared(ending("random", 0.5, level=0.4), ending("cluster-only", 0.5, level=0.45))

    assert guessing_level(found) == 0.45
    assert guessing_level(compared(ending("random", 0.5, level=None))) is None
    assert [is_guessing(accuracy, 0.45) for accuracy in (0.44, 0.45, 0.1 + 0.35, 0.46)] == [True, True, True, False]
    assert not is_guessing(0.1, None)


def test_no_scenario_is_named_for_a_target_that_guessing_reaches() -> None:
    trials = (ending("random", 0.2, 0.6, level=0.55), ending("cluster-only", 0.3, 0.5, level=0.55))

    low, middle, high = recommend(compared(*trials))
    assert (low.group, low.interactions, low.saving) == (None, None, None)
    assert low.answer == (
        "digits, accuracy 0.540 (90 % of the best final accuracy): guessing reaches up to 0.550 here, so nothing is "
        "recommended for this target."
    )
    assert [found.group and found.group.scenario for found in (middle, high)] == ["random", "random"]


def test_target_at_the_level_itself_is_guessing() -> None:
    low, *_ = recommend(compared(ending("random", 0.2, 0.8, level=0.72), ending("cluster-only", 0.8, level=0.72)))

    assert low.accuracy == pytest.approx(0.72)
    assert low.group is None


def test_one_plain_sentence_where_no_scenario_learned() -> None:
    trials = (ending("random", 0.2, 0.483, level=0.567), ending("cluster-only", 0.3, 0.4, level=0.567))

    assert answers(*trials) == [
        "digits: no scenario learned: the best final accuracy is 0.483, and guessing reaches up to 0.567 here; so "
        f"nothing is recommended. What to do: {LEARN_MORE}."
    ]


def test_one_plain_sentence_where_all_targets_are_just_below_the_level() -> None:
    assert answers(ending("random", 0.2, 0.57, level=0.567)) == [
        "digits: no target accuracy (0.513 to 0.564) is above what guessing reaches here, which is up to 0.567; so "
        f"nothing is recommended. What to do: {LEARN_MORE}."
    ]


def test_a_test_split_of_one_class_asks_for_more_test_images() -> None:
    (answer,) = answers(ending("random", 0.2, 1.0, level=1.0))

    assert answer.endswith(f"What to do: {BETTER_TEST}.")
    assert "train longer" not in answer


def test_runs_of_earlier_versions_have_their_recommendation() -> None:
    low, *_ = recommend(compared(ending("random", 0.1, 0.12, level=None), ending("cluster-only", 0.11, level=None)))

    assert low.group is not None


def test_break_even_is_left_out_for_targets_that_guessing_reaches() -> None:
    def found(level: float) -> Comparison:
        return compared(
            ending("random", 0.2, 0.9, level=level),
            ending("cluster-only", 0.3, 1.0, level=level, shown=5),
            ending("supervised", 1.0, level=level),
        )

    targets = [f"{percent} % of full supervision" for percent in (90, 95, 99)]
    assert [one.target for one in break_even(found(0.1))] == targets
    assert [one.target for one in break_even(found(0.92))] == targets[1:]
    assert [chart.title for chart in saving_charts(found(0.92))] == targets[1:]
    assert list(break_even(found(1.0))) == []


def test_table_of_targets_marks_those_that_guessing_reaches() -> None:
    found = tables(runs(ending("random", 0.2, 1.0, level=0.92), ending("supervised", 1.0, level=0.92)))["targets"]

    rows = found[["% of full supervision", "reached", "interactions of those that reached", "note"]].to_numpy()
    assert rows[0].tolist() == [90, None, None, "guessing reaches up to 0.920 here"]
    assert rows[1].tolist() == [95, "1 of 1", 20, "one seed: no interval"]


def test_label_efficiency_is_unknown_where_random_may_have_guessed() -> None:
    trials = (ending("random", 0.2, 0.5, level=0.55), ending("cluster-only", 0.2, 0.9, level=0.55))
    comparison = compared(*trials)

    found = label_efficiency(comparison.groups[1], comparison)
    assert found is not None
    assert (found.ratio, found.guessed, found.both_at_first) == (None, 1, 0)
    (note,) = tables(runs(*trials))["summary"]["note"][1:]
    assert "label efficiency unknown in 1 of 1 seeds: the final accuracy of random may be guessed" in note
    sure = compared(*(replace(one, lines=[line | {"chance_accuracy": 0.1} for line in one.lines]) for one in trials))
    known = label_efficiency(sure.groups[1], sure)
    assert known is not None
    assert known.ratio is not None
    assert known.ratio.mean == pytest.approx(20 / 15)  # 0.5 is reached after 14.3 interactions
