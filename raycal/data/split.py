"""Choice of the rows of a dataset that are the pool and the test split, and the options for it."""

from dataclasses import dataclass
from math import ceil
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Indices
from raycal.errors import InputError

Count = Annotated[int, Ge(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]
Seed = Annotated[int, Ge(0)]


class Rows(NamedTuple):
    """Rows of the training pool (P,) and of the test split (Q,): int64, ascending, disjoint."""

    train: Indices
    test: Indices


@dataclass(kw_only=True)
class WithSubset:
    """Base class of datasets that can be made smaller by options. Datasets of plug-ins may be derived from it, too.

    The subclass calls `subset` with the rows of its whole splits. If it has options of its own, it is a dataclass whose
    fields are these options; see `raycal.data.digits`.

    Args:
        seed: The seed of the experiment, which raycal fills in.
        image_size: The side, in pixels, of the images that the network sees, which raycal fills in.
        train_size: The number of training images to draw at random. None means all of them.
        test_size: The number of test images to draw at random. None means all of them.
        subset_seed: The seed of these two draws; it is independent of the experiment's seed.
    """

    seed: int
    image_size: int
    train_size: Count | None = None
    test_size: Count | None = None
    subset_seed: Seed = 0

    def subset(self, rows: Rows, name: str) -> Rows:
        """The rows that the options leave of both splits.

        Args:
            name: The name of the dataset, for messages.

        Raises:
            InputError: A subset would be larger than its split.
        """
        return subset(rows, train_size=self.train_size, test_size=self.test_size, seed=self.subset_seed, name=name)


def consecutive(num_train: int, num_test: int) -> Rows:
    """The split of a dataset that stores all training images before all test images."""
    return Rows(np.arange(num_train), np.arange(num_train, num_train + num_test))


def random_split(total: int, *, test_fraction: float, seed: int, name: str) -> Rows:
    """A random split whose test split has the share `test_fraction` of the rows, rounded up.

    Raises:
        InputError: A split would be empty.
    """
    # 70 * 0.1 is 7.000000000000001 in floating point, which would give 8 test images without the rounding.
    num_test = ceil(round(total * test_fraction, 6))
    if not 1 <= num_test < total:
        raise InputError(
            f"{name}: a test_fraction of {test_fraction:g} of {total} images leaves {total - num_test} for training and"
            f" {num_test} for testing; both need at least 1"
        )
    shuffled = stream(seed, 0, "test split").permutation(total)
    return Rows(np.sort(shuffled[num_test:]), np.sort(shuffled[:num_test]))


def subset(rows: Rows, *, train_size: int | None, test_size: int | None, seed: int, name: str) -> Rows:
    """Random subsets of both splits; a smaller subset is contained in a larger one of the same seed.

    Raises:
        InputError: A subset would be larger than its split; one line for each such split.
    """
    wanted = (("train_size", train_size, rows.train), ("test_size", test_size, rows.test))
    problems = [
        f"{name}: {option}: {size} is more than the {len(part)} images there are; give at most {len(part)}"
        for option, size, part in wanted
        if size is not None and size > len(part)
    ]
    if problems:
        raise InputError(*problems)
    return Rows(*(_part(part, size, seed, option) for option, size, part in wanted))


def _part(rows: Indices, size: int | None, seed: int, purpose: str) -> Indices:
    if size is None:
        return rows
    return np.sort(rows[stream(seed, 0, purpose).permutation(len(rows))[:size]])
