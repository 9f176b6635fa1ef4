import pytest
from made_up import runs, seeds, trial

from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.group_summary import dataset_budget, group_summary


def test_summary_of_a_group() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", [(10, 0.2), (30, 0.6)], [(20, 0.5), (40, 0.9)]),
            trial("random", [(10, 0.9)], seed=2, status="stopped", reason="asha"),
            *seeds("cluster-only", [(10, 0.4), (20, 0.8)], values={"cluster_label_error": [0.2, None]}),
            *seeds("supervised", [(800, 0.9)]),
        )
    )
    shared = dataset_budget(found)
    assert shared == (20, 20)
    random = group_summary(found.groups[0], shared)
    assert random.count == {"finished": 2, "stopped": 1}
    assert random.aubc is not None
    assert random.aubc.mean == pytest.approx((0.4 + 0.7) / 2)
    # The trials share only the single budget of 20 interactions.
    assert random.shared_aubc is not None
    assert random.shared_aubc.mean == pytest.approx((0.4 + 0.5) / 2)
    assert random.final_accuracy is not None
    assert random.final_accuracy.mean == pytest.approx(0.75)
    assert [found.mean if found else None for found in (random.interactions, random.human_hours)] == [35, 35]
    assert random.cluster_label_error is None
    cluster = group_summary(found.groups[1], shared).cluster_label_error
    assert cluster is not None
    assert cluster.mean == 0.2
    supervised = group_summary(found.groups[2], shared)
    assert (supervised.aubc, supervised.shared_aubc) == (None, None)
