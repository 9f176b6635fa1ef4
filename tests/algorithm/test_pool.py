from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_rows import row_of

from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, NO_LABEL, PSEUDO_LABELED, UNLABELED, Pool, as_arrays
from raycal.algorithm.records import Answer, Interaction, Kind, PoolSnapshot

CLUSTER = Kind.CLUSTER
SAMPLE = Kind.SAMPLE


def answered(indices: Sequence[int], label: int | None, kind: Kind = SAMPLE) -> Interaction:
    """An interaction that labels the samples, or refuses them when the label is None."""
    return row_of(1, 0, kind, label, np.array(indices, np.int64))


def mixed_pool() -> Pool:
    """Samples 1 and 4 in D^L, 2 and 3 in D^CL, 0 and 5 in D^U."""
    pool = Pool.of(6)
    pool.apply(answered([1], 7))
    pool.apply(answered([4], 8))
    pool.apply(answered([2, 3], 9, CLUSTER))
    return pool


def contents(pool: Pool) -> tuple[list[int], list[int]]:
    snapshot = pool.snapshot()
    return snapshot.status.tolist(), snapshot.labels.tolist()


def test_new_pool_is_all_unlabeled() -> None:
    pool = Pool.of(4)

    assert len(pool) == 4
    assert (pool.num_unlabeled, pool.num_labeled, pool.num_cluster_labeled) == (4, 0, 0)
    assert pool.unlabeled().tolist() == [0, 1, 2, 3]
    assert pool.training_set().indices.tolist() == []


def test_labeled_sample_goes_to_labeled_and_labeled_cluster_to_cluster_labeled() -> None:
    pool = mixed_pool()

    assert (pool.num_unlabeled, pool.num_labeled, pool.num_cluster_labeled) == (2, 2, 2)
    assert contents(pool) == (
        [UNLABELED, LABELED, CLUSTER_LABELED, CLUSTER_LABELED, LABELED, UNLABELED],
        [NO_LABEL, 7, 9, 9, 8, NO_LABEL],
    )


def test_training_set_is_both_labeled_parts_ascending_with_the_given_labels() -> None:
    training_set = mixed_pool().training_set()

    assert training_set.indices.tolist() == [1, 2, 3, 4]
    assert training_set.labels.tolist() == [7, 9, 9, 8]
    assert (training_set.indices.dtype, training_set.labels.dtype) == (np.int64, np.int64)


def test_unlabeled_is_ascending_int64() -> None:
    unlabeled = mixed_pool().unlabeled()

    assert unlabeled.tolist() == [0, 5]
    assert unlabeled.dtype == np.int64


@pytest.mark.parametrize("kind", Kind)
def test_refusal_moves_nothing(kind: Kind) -> None:
    pool = mixed_pool()
    before = contents(pool)

    pool.apply(answered([0, 5], None, kind))

    assert contents(pool) == before


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("indices", [[1], [2], [0, 1], [2, 5], [0, 3, 5], [-6], [-6, 0], [6]], ids=str)
def test_nothing_is_labeled_twice_and_then_nothing_has_moved(indices: list[int], kind: Kind) -> None:
    pool = mixed_pool()
    before = contents(pool)

    with pytest.raises(ValueError, match=r"interaction 1 labels a sample that is not in D\^U"):
        pool.apply(answered(indices, 3, kind))

    assert contents(pool) == before


def test_labeled_without_a_label_is_refused() -> None:
    pool = Pool.of(2)
    without_label = Interaction(
        iteration=0,
        step=0,
        interaction=4,
        kind=SAMPLE,
        answer=Answer.LABELED,
        label=None,
        purity=None,
        wrong=None,
        seconds=0.0,
        indices=np.array([0]),
    )

    with pytest.raises(ValueError, match="interaction 4"):
        pool.apply(without_label)
    with pytest.raises(ValueError, match="the invalid label -1"):
        pool.apply(answered([0], NO_LABEL))
    assert contents(pool) == contents(Pool.of(2))


def test_release_empties_cluster_labeled_and_leaves_labeled_alone() -> None:
    pool = mixed_pool()

    pool.release()

    assert contents(pool) == (
        [UNLABELED, LABELED, UNLABELED, UNLABELED, LABELED, UNLABELED],
        [NO_LABEL, 7, NO_LABEL, NO_LABEL, 8, NO_LABEL],
    )


def test_released_samples_can_be_labeled_again() -> None:
    pool = mixed_pool()
    pool.release()

    pool.apply(answered([2], 1))
    pool.apply(answered([0, 3], 2, CLUSTER))

    assert pool.training_set().indices.tolist() == [0, 1, 2, 3, 4]
    assert pool.training_set().labels.tolist() == [2, 7, 1, 2, 8]


def test_kept_samples_stay_in_cluster_labeled_until_a_single_answer_replaces_the_label() -> None:
    pool = mixed_pool()
    pool.pseudo_label(np.array([0]), np.array([4]))
    pool.release(keep_cluster_labels=True)

    assert contents(pool) == (
        [UNLABELED, LABELED, KEPT, KEPT, LABELED, UNLABELED],
        [NO_LABEL, 7, 9, 9, 8, NO_LABEL],
    )
    assert (pool.num_unlabeled, pool.num_labeled, pool.num_cluster_labeled) == (2, 2, 2)
    assert (pool.unlabeled().tolist(), pool.kept().tolist(), pool.askable().tolist()) == ([0, 5], [2, 3], [0, 2, 3, 5])
    weights = pool.training_set(0.5).weights
    assert weights is not None
    assert weights.tolist() == [1, 0.5, 0.5, 1]
    assert contents(Pool(pool.snapshot())) == contents(pool)

    pool.apply(answered([2], 5))

    assert contents(pool)[0][2:4] == [LABELED, KEPT]
    assert contents(pool)[1][2:4] == [5, 9]
    assert pool.training_set("purity").weights is not None

    pool.release()  # This releases only labels of this iteration, so the kept label stays.
    assert contents(pool)[0][3] == KEPT


@pytest.mark.parametrize("move", [answered([0, 2], 1, CLUSTER), answered([1], 1), answered([2, 4], 1)], ids=str)
def test_only_a_single_answer_replaces_a_kept_label_and_no_answer_a_single_one(move: Interaction) -> None:
    pool = mixed_pool()
    pool.release(keep_cluster_labels=True)
    before = contents(pool)

    with pytest.raises(ValueError, match=r"not in D\^U"):
        pool.apply(move)

    assert contents(pool) == before


def test_amended_labels_are_trained_on_and_stay() -> None:
    pool = mixed_pool()
    pool.amend(*as_arrays({4: 7, 1: 0}))
    pool.release()
    assert (pool.labeled().tolist(), pool.unlabeled().tolist()) == ([1, 4], [0, 2, 3, 5])
    assert pool.training_set().labels.tolist() == [0, 7]
    pool.amend(*as_arrays({}))
    assert pool.training_set().labels.tolist() == [0, 7]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({1: 2, 2: 2}, "not in D\\^L cannot be amended"),
        ({1: 2, 0: 2}, "not in D\\^L cannot be amended"),
        ({1: 2, 6: 2}, "not in D\\^L cannot be amended"),
        ({1: -1}, "not a valid class"),
        ({1: 2**31}, "not a valid class"),
    ],
)
def test_only_labels_of_single_samples_are_amended(labels: dict[int, int], problem: str) -> None:
    pool = mixed_pool()
    before = pool.snapshot()
    with pytest.raises(ValueError, match=problem):
        pool.amend(*as_arrays(labels))
    assert pool.snapshot().labels.tolist() == before.labels.tolist()


def test_pseudo_labeled_are_trained_on_and_go_back_with_the_clusters() -> None:
    pool = mixed_pool()

    pool.pseudo_label(np.array([0, 5]), np.array([4, 6]))

    assert (pool.num_unlabeled, pool.num_labeled, pool.num_cluster_labeled, pool.num_pseudo_labeled) == (0, 2, 2, 2)
    assert pool.training_set().indices.tolist() == [0, 1, 2, 3, 4, 5]
    assert pool.training_set().labels.tolist() == [4, 7, 9, 9, 8, 6]
    assert contents(Pool(pool.snapshot())) == contents(pool)

    pool.release()

    assert pool.num_pseudo_labeled == 0
    assert pool.training_set().indices.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("indices", "labels", "problem"),
    [
        ([0, 1], [3, 3], r"not in D\^U"),
        ([0, 2], [3, 3], r"not in D\^U"),
        ([6], [3], r"not in D\^U"),
        ([0, 5], [3, NO_LABEL], "not a valid class"),
    ],
    ids=str,
)
def test_only_the_unlabeled_are_pseudo_labeled(indices: list[int], labels: list[int], problem: str) -> None:
    pool = mixed_pool()
    before = contents(pool)

    with pytest.raises(ValueError, match=problem):
        pool.pseudo_label(np.array(indices), np.array(labels))

    assert contents(pool) == before


def test_snapshot_is_a_copy() -> None:
    pool = mixed_pool()
    snapshot = pool.snapshot()
    status, labels = snapshot.status.tolist(), snapshot.labels.tolist()

    pool.apply(answered([0], 5))
    pool.release()

    assert (snapshot.status.tolist(), snapshot.labels.tolist()) == (status, labels)


def test_pool_of_a_snapshot_does_not_write_to_it() -> None:
    snapshot = mixed_pool().snapshot()
    for array in (snapshot.status, snapshot.labels):
        array.flags.writeable = False
    pool = Pool(snapshot)

    pool.apply(answered([0], 5))

    assert snapshot.labels[0] == NO_LABEL
    assert pool.snapshot().labels[0] == 5


def test_snapshot_restores_the_same_pool_with_the_ledger_s_dtypes() -> None:
    pool = mixed_pool()
    snapshot = Pool(pool.snapshot()).snapshot()

    assert (snapshot.status.dtype, snapshot.labels.dtype) == (np.int8, np.int32)
    assert (snapshot.status.tolist(), snapshot.labels.tolist()) == contents(pool)


@pytest.mark.parametrize(
    ("status", "labels", "problem"),
    [
        ([UNLABELED, LABELED], [NO_LABEL], "should have one entry per sample"),
        ([[UNLABELED]], [[NO_LABEL]], "should have one entry per sample"),
        ([5], [0], r"neither in D\^U, D\^L or D\^CL"),
        ([-1], [0], r"neither in D\^U, D\^L or D\^CL"),
        ([UNLABELED], [0], "label if and only if"),
        ([LABELED], [NO_LABEL], "label if and only if"),
        ([CLUSTER_LABELED], [NO_LABEL], "label if and only if"),
        ([PSEUDO_LABELED], [NO_LABEL], "label if and only if"),
    ],
    ids=str,
)
def test_bad_snapshot_is_refused(status: list[int], labels: list[int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Pool(PoolSnapshot(status=np.array(status, np.int8), labels=np.array(labels, np.int32)))


Move = tuple[Kind, list[int], int | None] | None


@st.composite
def pools_and_moves(draw: st.DrawFn) -> tuple[int, list[Move]]:
    """A pool size and a list of moves. A move is an interaction (kind, samples, label or refusal), or None for a
    release."""
    size = draw(st.integers(1, 12))
    samples = st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True).map(sorted)
    interaction = st.tuples(st.sampled_from(Kind), samples, st.none() | st.integers(0, 9))
    return size, draw(st.lists(st.none() | interaction, max_size=25))


@given(pools_and_moves())
def test_pool_is_a_partition_after_any_moves(pool_and_moves: tuple[int, list[Move]]) -> None:
    size, moves = pool_and_moves
    pool = Pool.of(size)
    labeled: dict[int, int] = {}
    cluster_labeled: dict[int, int] = {}

    for move in moves:
        if move is None:
            pool.release()
            cluster_labeled = {}
        else:
            kind, indices, label = move
            if label is not None and (labeled.keys() | cluster_labeled.keys()) & set(indices):
                with pytest.raises(ValueError):
                    pool.apply(answered(indices, label, kind))
            else:
                pool.apply(answered(indices, label, kind))
                if label is not None:
                    (labeled if kind is SAMPLE else cluster_labeled).update(dict.fromkeys(indices, label))

        expected = labeled | cluster_labeled
        training_set, unlabeled = pool.training_set(), pool.unlabeled()
        assert dict(zip(training_set.indices.tolist(), training_set.labels.tolist(), strict=True)) == expected
        assert sorted([*unlabeled, *training_set.indices]) == list(range(size))
        assert (pool.num_unlabeled, pool.num_labeled, pool.num_cluster_labeled) == (
            size - len(expected),
            len(labeled),
            len(cluster_labeled),
        )
        assert contents(Pool(pool.snapshot())) == contents(pool)


def test_samples_of_a_cluster_weigh_what_is_wanted_beside_single_ones() -> None:
    pool = mixed_pool()

    assert pool.training_set().weights is None
    weights = pool.training_set(0.5).weights
    assert weights is not None
    assert (weights.dtype, weights.tolist()) == (np.float32, [1, 0.5, 0.5, 1])


def test_probabilities_are_the_weights_of_samples_of_clusters_until_they_are_released() -> None:
    pool = mixed_pool()
    before = pool.training_set()
    probabilities = np.linspace(0.1, 0.9, len(pool)).astype(np.float32)
    pool.weigh(probabilities)
    again = Pool(pool.snapshot())
    of_cluster = pool.snapshot().status[before.indices] == CLUSTER_LABELED

    for weights in (each.training_set("posterior").weights for each in (pool, again)):
        assert weights is not None
        assert weights.tolist() == np.where(of_cluster, probabilities[before.indices], np.float32(1)).tolist()
    assert 0 < of_cluster.sum() < len(of_cluster)
    assert pool.training_set().weights is None
    pool.release()
    weights = pool.training_set("posterior").weights
    assert weights is not None
    assert set(weights.tolist()) == {1}


def test_purity_of_a_cluster_is_the_weight_of_its_samples_until_it_is_released() -> None:
    pool = mixed_pool()
    pool.apply(replace(answered([0], 3, CLUSTER), purity=0.75))
    again = Pool(pool.snapshot())

    for weights in (each.training_set("purity").weights for each in (pool, again)):
        assert weights is not None
        # The purity of the other cluster is not known, so its samples have weight 1.
        assert weights.tolist() == [0.75, 1, 1, 1, 1]
    pool.release()
    pool.apply(answered([0], 3, CLUSTER))
    weights = pool.training_set("purity").weights
    assert weights is not None
    assert weights.tolist() == [1, 1, 1]
