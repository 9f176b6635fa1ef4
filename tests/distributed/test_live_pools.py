import numpy as np
from small_iterations import sample

from raycal.algorithm.records import (
    Evaluation,
    IterationResult,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.distributed.live_pools import LEDGER_TAIL, LivePool, LivePools, short


def result(iteration: int, num_rows: int = 2) -> IterationResult:
    status = np.zeros(8, np.int8)
    status[: iteration + 1] = 1
    status[7] = 2
    rows = tuple(
        sample(iteration * num_rows + row + 1, iteration=iteration, label=0, seconds=1.0, indices=np.array([row]))
        for row in range(num_rows)
    )
    return IterationResult(
        iteration=iteration,
        interactions=(iteration + 1) * num_rows,
        human_seconds=0.0,
        ledger=rows,
        pool=PoolSnapshot(status=status, labels=np.where(status > 0, 0, -1).astype(np.int32)),
        evaluation=Evaluation(accuracy=0.5, loss=1.0),
        seconds=PhaseSeconds(predict=0, cluster=0, train=0, evaluate=0),
    )


def test_new_pool_is_unlabeled() -> None:
    pool = LivePool(8)
    assert pool.counts() == {
        "iteration": -1,
        "interactions": 0,
        "unlabeled": 8,
        "labeled": 0,
        "cluster_labeled": 0,
        "pseudo_labeled": 0,
    }
    assert pool.ledger_tail() == []


def test_commit_shows_the_iteration() -> None:
    pool = LivePool(8)
    assert pool.commit(result(0)) == 0
    assert pool.commit(result(1)) == 1

    counts = pool.counts()
    assert (counts["iteration"], counts["interactions"]) == (1, 4)
    assert (counts["unlabeled"], counts["labeled"], counts["cluster_labeled"]) == (5, 2, 1)
    assert pool.snapshot().status.tolist() == [1, 1, 0, 0, 0, 0, 0, 2]
    assert [row.interaction for row in pool.ledger_tail()] == [1, 2, 3, 4]
    assert [row.interaction for row in pool.ledger_tail(1)] == [4]


def test_commit_sent_again_changes_nothing() -> None:
    pool = LivePool(8)
    for iteration in (0, 1, 1, 0):
        assert pool.commit(result(iteration)) == min(1, pool.counts()["iteration"])
    assert [row.interaction for row in pool.ledger_tail()] == [1, 2, 3, 4]


def test_restarted_pool_is_whole_at_the_next_commit() -> None:
    pool = LivePool(8)
    assert pool.commit(result(3)) == 3
    assert (pool.counts()["labeled"], pool.counts()["interactions"]) == (4, 8)


def test_tail_is_bounded() -> None:
    pool = LivePool(8)
    pool.commit(result(0, num_rows=LEDGER_TAIL + 5))
    tail = pool.ledger_tail(10**6)

    assert len(tail) == LEDGER_TAIL
    assert tail[0].interaction == 6


def test_sweep_shows_its_running_experiments() -> None:
    pools = LivePools()
    pools.commit("a", result(0))
    pools.commit("b", result(0))
    pools.commit("b", result(1))
    assert {key: counts["iteration"] for key, counts in pools.counts().items()} == {"a": 0, "b": 1}
    assert [row.interaction for row in pools.ledger_tail("b", 3) or ()] == [2, 3, 4]
    snapshot = pools.snapshot("a")
    assert snapshot is not None
    assert snapshot.status.tolist() == [1, 0, 0, 0, 0, 0, 0, 2]

    pools.end("a")
    assert list(pools.counts()) == ["b"]
    assert pools.snapshot("a") is None
    assert pools.ledger_tail("a", 3) is None


def test_what_is_sent_holds_no_more_rows_than_are_kept() -> None:
    sent = short(result(0, num_rows=LEDGER_TAIL + 5))
    assert [len(sent.ledger), sent.ledger[0].interaction, sent.interactions] == [LEDGER_TAIL, 6, LEDGER_TAIL + 5]
