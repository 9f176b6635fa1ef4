"""Tests that the report names no winner and computes no cost for accuracies that guessing also reaches."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from made_up import runs, trial

from raycal.report.figures.break_even_chart import saving_charts
from raycal.report.runs import Trial
from raycal.report.stats.answer import answers
from raycal.report.stats.break_even import break_even
from raycal.report.stats.common_accuracy import CommonAccuracy, common_accuracy
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.stats.guessing import BETTER_TEST, IMBALANCED_ADVICE, LEARN_MORE, guessing_level, is_guessing
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


def test_level_is_the_highest_of_all_splits() -> None:
    found = compared(ending("random", 0.5, level=0.4), ending("cluster-only", 0.5, level=0.45))

    assert guessing_level(found) == 0.45
    assert guessing_level(compared(ending("random", 0.5, level=None))) is None
    assert [is_guessing(accuracy, 0.45) for accuracy in (0.44, 0.45, 0.1 + 0.35, 0.46)] == [True, True, True, False]
    assert not is_guessing(0.1, None)


def test_no_target_is_answered_that_guessing_reaches() -> None:
    trials = (ending("random", 0.2, 0.6, level=0.55), ending("supervised", 0.6, level=0.55))

    (answer,) = answers(runs(*trials))
    assert [target.percent for target in answer.targets] == [95, 99]
    assert answer.target_texts[0].startswith("Only random reached 95 % of that, 0.570: it needed 20 interactions")


def test_target_at_the_level_itself_is_guessing() -> None:
    full = ending("supervised", 0.8, level=0.72)

    assert [target.percent for target in recommend(compared(ending("random", 0.2, 0.8, level=0.72), full))] == [95, 99]


def test_accuracy_that_two_strategies_guess_is_not_compared() -> None:
    def found(level: float) -> CommonAccuracy | None:
        return common_accuracy(
            compared(ending("random", 0.2, 0.5, level=level), ending("cluster-only", 0.6, level=level))
        )

    assert found(0.5) is None
    low = found(0.49)
    assert low is not None
    assert low.accuracy == 0.5


def test_no_winner_where_no_strategy_learned() -> None:
    (answer,) = answers(runs(ending("random", 0.2, 0.483, level=0.567), ending("cluster-only", 0.3, 0.4, level=0.567)))

    assert answer.paragraphs == (
        "After 20 human interactions, no strategy is better than guessing: the highest accuracy is 0.483, of random, "
        f"and guessing reaches up to 0.567 on these test images. So there is no winner. What to do: {LEARN_MORE}.",
    )


def test_a_test_split_of_one_class_asks_for_more_test_images() -> None:
    (answer,) = answers(runs(ending("random", 0.2, 1.0, level=1.0)))

    assert answer.budget_text.endswith(f"What to do: {BETTER_TEST}.")
    assert "train longer" not in answer.budget_text


def test_imbalanced_test_split_asks_for_other_classes() -> None:
    one = replace(ending("random", 0.2, 0.8, level=0.9), even_chance=0.3)
    (answer,) = answers(runs(one))

    assert answer.budget_text.endswith(f"What to do: {IMBALANCED_ADVICE.format(0.3)}.")


def test_runs_of_earlier_versions_have_their_answer() -> None:
    (answer,) = answers(runs(ending("random", 0.1, 0.12, level=None), ending("cluster-only", 0.1, 0.11, level=None)))

    assert answer.budget_text.startswith("After 20 human interactions, random has the highest accuracy, 0.120")


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
    assert known.ratio.mean == pytest.approx(20 / 15)  # The accuracy 0.5 is reached after 14.3 interactions.
