"""Tests that a saved pool is read without a change, and that it can be extended by samples that were added after it was
saved."""

import numpy as np
import pytest

from raycal.algorithm.pool import CLUSTER_LABELED, LABELED, NO_LABEL, UNLABELED
from raycal.algorithm.records import PoolSnapshot
from raycal.storage.pool_file import pack, unpack

SAVED = PoolSnapshot(
    status=np.array([LABELED, UNLABELED, CLUSTER_LABELED], np.int8),
    labels=np.array([4, NO_LABEL, 2], np.int32),
    purity=np.array([1, 1, 0.75], np.float32),
)


def test_pool_is_read_as_it_was() -> None:
    for may_have_grown in (False, True):
        read = unpack(pack(SAVED), 3, may_have_grown=may_have_grown)
        assert read.status.tolist() == SAVED.status.tolist()
        assert read.labels.tolist() == SAVED.labels.tolist()
        assert read.purity is not None
        assert read.purity.tolist() == [1, 1, 0.75]


def test_samples_that_joined_the_pool_have_no_label() -> None:
    read = unpack(pack(SAVED), 5, may_have_grown=True)

    assert read.status.tolist() == [LABELED, UNLABELED, CLUSTER_LABELED, UNLABELED, UNLABELED]
    assert read.labels.tolist() == [4, NO_LABEL, 2, NO_LABEL, NO_LABEL]
    assert read.purity is not None
    assert read.purity.tolist() == [1, 1, 0.75, 1, 1]
    assert (read.status.dtype, read.labels.dtype, read.purity.dtype) == (np.int8, np.int32, np.float32)


@pytest.mark.parametrize(("num_samples", "may_have_grown"), [(5, False), (2, False), (2, True)])
def test_pool_of_another_size_is_refused(num_samples: int, may_have_grown: bool) -> None:
    with pytest.raises(ValueError, match=r"an array of int8 \(3,\) in place of"):
        unpack(pack(SAVED), num_samples, may_have_grown=may_have_grown)
