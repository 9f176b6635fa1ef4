import pytest
from made_up import Points, runs, seeds, trial
from scipy import stats

from raycal.report.runs import Trial
from raycal.report.stats.at_budget import AtBudget, at_budget
from raycal.report.stats.comparison import by_dataset


def ranked(*trials: Trial) -> AtBudget | None:
    (found,) = by_dataset(runs(*trials))
    return at_budget(found)


def ending(*accuracies: float) -> list[Points]:
    return [[(50, accuracy - 0.2), (100, accuracy)] for accuracy in accuracies]


def test_margins_are_paired_by_seed() -> None:
    found = ranked(*seeds("random", *ending(0.5, 0.6, 0.7)), *seeds("cluster-only", *ending(0.6, 0.71, 0.82)))
    assert found is not None
    assert (found.budget, found.is_end_of_all, found.seeds, found.all_seeds) == (100, True, (0, 1, 2), True)
    assert [one.group.scenario for one in found.ranking] == ["cluster-only", "random"]
    (margin,) = found.margins
    interval = stats.ttest_rel([0.6, 0.71, 0.82], [0.5, 0.6, 0.7]).confidence_interval()
    assert (margin.difference.low, margin.difference.high) == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )
    assert not margin.is_unclear


def test_without_common_seeds_margins_are_those_of_welch() -> None:
    ours, theirs = (0.85, 0.86, 0.9, 0.91), (0.75, 0.77, 0.83)
    others = [trial("cluster-only", points, seed=5 + at) for at, points in enumerate(ending(*ours))]
    found = ranked(*seeds("random", *ending(*theirs)), *others)
    assert found is not None
    assert found.seeds is None
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    low, high = found.margins[0].difference.low, found.margins[0].difference.high
    assert (low, high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_ranking_is_over_the_seeds_that_all_finished() -> None:
    # Over all its seeds, random would be ahead of cluster-only.
    found = ranked(*seeds("random", *ending(0.5, 0.5, 0.9)), *seeds("cluster-only", *ending(0.6, 0.6)))
    assert found is not None
    assert (found.seeds, found.all_seeds) == ((0, 1), False)
    assert (found.winner.group.scenario, found.winner.accuracy.mean) == ("cluster-only", pytest.approx(0.6))


def test_accuracy_at_the_budget_lies_on_the_line_between_evaluations() -> None:
    found = ranked(*seeds("random", [(50, 0.2), (150, 0.6)]), *seeds("cluster-only", *ending(0.5)))
    assert found is not None
    assert (found.budget, found.is_end_of_all) == (100, False)
    assert found.ranking[1].accuracy.mean == pytest.approx(0.4)


def test_random_has_the_settings_of_the_winner() -> None:
    found = ranked(
        *seeds("random", *ending(0.7), training={"epochs": 3}),
        *seeds("random", *ending(0.6), training={"epochs": 6}),
        *seeds("cluster-only", *ending(0.8), training={"epochs": 6}),
    )
    assert found is not None
    assert found.random is not None
    assert found.random.trials[0].config.training.epochs == 6
    assert [margin.difference.mean for margin in found.main_margins] == [pytest.approx(0.1), pytest.approx(0.2)]


def test_nothing_to_rank() -> None:
    assert ranked(trial("random", status="failed")) is None
    assert ranked(*seeds("supervised", [(800, 0.9)])) is None
    assert ranked(*seeds("random", [(10, 0.3), (20, 0.5)]), *seeds("cluster-only", *ending(0.5))) is None
    assert ranked(*seeds("random", [(10, None)])) is None
