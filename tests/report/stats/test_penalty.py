import pytest
from made_up import level, runs, seeds, trial

from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.penalty import penalty_matrix


def test_matrix_by_hand() -> None:
    """`cluster-only` wins at 20 and 30 interactions, but not at 10. `uncertain-only` never differs from `random`."""
    (found,) = by_dataset(
        runs(
            *seeds("random", *([(10, 0.5), (20, 0.5 + e), (30, 0.5)] for e in (0.0, 0.01, 0.02))),
            *seeds("cluster-only", *([(10, 0.5), (20, 0.8), (30, 0.8 + e)] for e in (0.0, 0.01, 0.02))),
            *seeds("uncertain-only", [(10, 0.1), (30, 0.9)], [(10, 0.9), (30, 0.1)], [(10, 0.6), (30, 0.5)]),
        )
    )
    matrix = penalty_matrix(found)
    assert matrix.scenarios == ("random", "cluster-only", "uncertain-only")
    # By interpolation, `uncertain-only` is at about 0.5 in every seed after 20 interactions.
    assert matrix.wins == ((None, 0, 0), (pytest.approx(2 / 3), None, pytest.approx(1 / 3)), (0, 0, None))
    assert matrix.column_means == (pytest.approx(1 / 3), 0, pytest.approx(1 / 6))
    assert matrix.compared == ((0, 1, 1), (1, 0, 1), (1, 1, 0))
    assert matrix.seeds == (3, 3)


def test_each_setting_adds_at_most_one() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", *level(0.1, 0.11, 0.12), expert={"purity_threshold": 0.7}),
            *seeds("cluster-only", *level(0.8, 0.9, 0.85), expert={"purity_threshold": 0.7}),
            *seeds("cluster-only", *level(0.8, 0.9, 0.85), expert={"purity_threshold": 0.9}),
        )
    )
    matrix = penalty_matrix(found)
    assert matrix.wins == ((None, 0), (2, None))
    assert matrix.column_means == (2, 0)
    assert matrix.compared[0][1] == 2


def test_nothing_to_compare() -> None:
    (one,) = by_dataset(runs(*seeds("random", *level(0.5)), *seeds("cluster-only", *level(0.6))))
    assert penalty_matrix(one).wins == ((None, None), (None, None))
    assert (penalty_matrix(one).seeds, penalty_matrix(one).column_means) == (None, (None, None))
    (failed,) = by_dataset(runs(trial("random", status="failed"), *seeds("supervised", [(800, 0.9)])))
    assert penalty_matrix(failed).wins == ((None,),)
