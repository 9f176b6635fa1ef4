import math

import pandas as pd
import pytest
from made_up import Points, level, runs, seeds, trial

from raycal.monitor.summary import NO_REASON
from raycal.report.runs import Runs
from raycal.report.stats.answer import answers
from raycal.report.tables import tables

NAMES = [
    *("recommendation", "summary", "targets", "break_even", "pairwise", "penalty", "sensitivity", "parity"),
    "failures",
]


@pytest.fixture
def mixed() -> Runs:
    """Runs on two datasets with two purity thresholds, and with failures of each kind."""
    return runs(
        *seeds("random", [(10, 0.2), (30, 0.6)], [(10, 0.3), (30, 0.7)]),
        *(
            item
            for threshold in (0.9, 0.7)
            for item in seeds("cluster-only", *level(threshold, 0.8), expert={"purity_threshold": threshold})
        ),
        *seeds("supervised", [(800, 0.9)], [(800, 0.8)]),
        trial("uncertain-only", seed=0, status="failed", reason="iteration 0: Traceback\n  File\nValueError: a_b & c"),
        trial("uncertain-only", [(10, 0.1)], seed=1, status="stopped", reason="asha"),
        trial("uncertain-only", seed=2, status="unfinished"),
        *seeds("cluster-only", *level(0.5), dataset="cifar10"),
    )


def _numbers(table: pd.DataFrame, row: int, name: str) -> list[object]:
    """A value of a row with both ends of its interval."""
    at = list(table.columns).index(name)
    return list(table.iloc[row, at : at + 3])


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in table[list(columns)].itertuples(index=False)]


def test_no_cell_is_nan(mixed: Runs) -> None:
    found = tables(mixed)
    assert list(found) == NAMES
    for table in found.values():
        assert len(set(table.columns)) == len(table.columns)
        cells = [cell for row in table.itertuples(index=False) for cell in row]
        assert not any(isinstance(cell, float) and not math.isfinite(cell) for cell in cells)


def test_summary_counts_every_trial(mixed: Runs) -> None:
    table = tables(mixed)["summary"]
    counts = rows(table, "dataset", "group", "finished", "stopped", "failed", "unfinished", "note")
    assert counts == [
        ("digits", "random", 2, 0, 0, 0, ""),
        ("digits", "cluster-only (purity threshold 0.9)", 2, 0, 0, 0, ""),
        ("digits", "cluster-only (purity threshold 0.7)", 2, 0, 0, 0, ""),
        ("digits", "supervised", 2, 0, 0, 0, ""),
        ("digits", "uncertain-only", 0, 1, 1, 1, "no seed finished"),
        ("cifar10", "cluster-only", 1, 0, 0, 0, "one seed: no interval; no random with these settings"),
    ]
    assert table["AUBC"][0] == pytest.approx(0.45)
    assert table["AUBC on shared budget"][0] == pytest.approx((0.3 + 0.4) / 2)


def test_recommendation_has_the_values_behind_each_sentence() -> None:
    def ending(*accuracies: float) -> list[Points]:
        return [[(50, accuracy - 0.2), (100, accuracy)] for accuracy in accuracies]

    made = runs(
        *seeds("random", *ending(0.75, 0.76, 0.78)),
        *seeds("uncertain-only", *ending(0.80, 0.80, 0.82)),
        *seeds("cluster-only", *ending(0.89, 0.90, 0.94)),
        *seeds("supervised", [(800, 0.98)]),
    )
    table = tables(made)["recommendation"]

    budget = "highest accuracy at the shared budget"
    at = [f"fewest interactions for {percent} % of full supervision" for percent in (90, 95, 99)]
    common = "fewest interactions for the highest accuracy of two strategies"
    assert rows(table, "question", "group", "seeds", "compared with", "not distinguishable from") == [
        (budget, "cluster-only", 3, "uncertain-only", ""),
        (budget, "cluster-only", 3, "random", ""),
        (common, "cluster-only", 3, "uncertain-only", ""),
        (at[0], "cluster-only", 3, "random", ""),
        (at[1], None, 0, None, ""),
        (at[2], None, 0, None, ""),
    ]
    assert _numbers(table, 0, "accuracy difference") == [pytest.approx(v, abs=1e-3) for v in (0.103, 0.065, 0.141)]
    assert table["interactions"].tolist()[:2] == [100, 100]
    assert _numbers(table, 2, "times as many interactions") == [pytest.approx(v, abs=2e-2) for v in (1.36, 1.15, 1.60)]
    (answer,) = answers(made)
    assert table["answer"].tolist() == [*[answer.budget_text] * 2, answer.common_text, *answer.target_texts]


def test_targets_say_who_did_not_reach_them(mixed: Runs) -> None:
    table = tables(mixed)["targets"]
    found = rows(table, "group", "% of full supervision", "reached", "note")
    # 90 % of 0.85 is 0.765.
    assert found[0] == ("random", 90, "0 of 2", "not reached")
    cluster = ("cluster-only (purity threshold 0.9)", 90, "2 of 2", "reached at the first measured point: at most")
    assert found[1] == cluster
    assert found[2][2:] == (
        "1 of 2",
        "not reached in every seed: no interval; reached at the first measured point: at most",
    )
    assert found[-1][2:] == (None, "no full supervision with these settings")


def test_datasets_are_never_compared(mixed: Runs) -> None:
    table = tables(mixed)["pairwise"]
    assert len(table) == 2 * 3
    assert set(table["dataset"]) == {"digits"}
    assert not any("cifar10" in row["first"] + row["second"] for _, row in table.iterrows())


def test_failures_are_all_there(mixed: Runs) -> None:
    assert rows(tables(mixed)["failures"], "seed", "status", "iterations", "reason") == [
        (0, "failed", 0, "iteration 0: Traceback … ValueError: a_b & c"),
        (1, "stopped", 1, "stopped early by asha"),
        (2, "unfinished", 0, NO_REASON),
    ]


def test_sensitivity_is_by_value(mixed: Runs) -> None:
    found = rows(tables(mixed)["sensitivity"], "setting", "value", "scenario", "seeds", "final accuracy")
    assert found == [
        ("expert.purity_threshold", 0.7, "cluster-only", 2, pytest.approx(0.75)),
        ("expert.purity_threshold", 0.9, "cluster-only", 2, pytest.approx(0.85)),
    ]


def test_penalty_ends_with_the_mean_of_its_columns(mixed: Runs) -> None:
    table = tables(mixed)["penalty"]
    assert list(table.columns) == ["dataset", "beats", "settings", "random", "cluster-only", "uncertain-only"]
    assert list(table["beats"]) == ["random", "cluster-only", "uncertain-only", "column mean"]
    assert list(table["settings"]) == [2, 2, 0, None]


def test_sweep_without_a_finished_trial_has_all_columns() -> None:
    found = tables(runs(trial("random", status="failed")))
    assert [len(found[name]) for name in NAMES] == [1, 1, 4, 0, 0, 0, 0, 9, 1]
    assert all(len(found[name].columns) > 2 for name in NAMES)


def test_label_efficiency_that_nobody_knows_is_empty_and_says_why() -> None:
    table = tables(runs(*seeds("random", *level(0.5, 0.4)), *seeds("cluster-only", *level(0.6, 0.6))))["summary"]
    found = rows(table, "group", "label efficiency", "label efficiency low", "label efficiency seeds", "note")
    assert found[1] == (
        "cluster-only",
        None,
        None,
        "0 of 2",
        "label efficiency unknown in 2 of 2 seeds: both had the accuracy at the first evaluation",
    )
