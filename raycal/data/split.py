"""Chooses which rows of a dataset are the pool and the test split, and defines the options for this choice."""

from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Lt

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Indices
from raycal.errors import InputError, first_of
from raycal.registry import Kind

Count = Annotated[int, Ge(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]
Seed = Annotated[int, Ge(0)]
NUM_CHOSEN = 300  # the number of groups on each side of the border between the splits that may change sides
NUM_NAMED = 5


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
        train_size: The number of training samples to draw at random. None means all of them.
        test_size: The number of test samples to draw at random. None means all of them.
        subset_seed: The seed of these two draws; it is independent of the experiment's seed.

    Attributes:
        kind: The kind of samples that the dataset has; a dataset of vectors or texts sets it.
    """

    kind: ClassVar[Kind] = "images"

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
        sizes = {"train_size": self.train_size, "test_size": self.test_size}
        return subset(rows, **sizes, seed=self.subset_seed, name=name, kind=self.kind)


def consecutive(num_train: int, num_test: int) -> Rows:
    """The split of a dataset that stores all training images before all test images."""
    return Rows(np.arange(num_train), np.arange(num_train, num_train + num_test))


def random_split(
    total: int,
    *,
    test_fraction: float,
    seed: int,
    name: str,
    groups: npt.NDArray[Any] | None = None,
    kind: Kind = "images",
) -> Rows:
    """A random split whose test split has the share `test_fraction` of the rows, rounded up.

    With groups, each group is in one split as a whole. The groups are put into a random order, in which those at the
    beginning are the test split. Then the groups near the border between the splits are assigned again, so that the
    number of test rows comes as near as possible to the wanted number. Of two equally near numbers, the larger one is
    taken. Groups of one row each give the same split as no groups.

    Args:
        total: The number of rows.
        test_fraction: The share of the rows in the test split.
        seed: The seed of the order.
        name: The name of the dataset, for messages.
        groups: (total,) the group of each row, such as the patient or the video that an image is from: numbers or
            texts. None means that every row is drawn for itself.
        kind: The kind of the samples, for messages.

    Raises:
        InputError: A split would be empty.
    """
    # 70 * 0.1 is 7.000000000000001 in floating point, which would give 8 test images without the rounding.
    num_test = ceil(round(total * test_fraction, 6))
    if not 1 <= num_test < total:
        raise InputError(
            f"{name}: a test_fraction of {test_fraction:g} of {total} {kind} leaves {total - num_test} for training and"
            f" {num_test} for testing; both need at least 1"
        )
    order = stream(seed, 0, "test split")
    if groups is None:
        shuffled = order.permutation(total)
        return Rows(np.sort(shuffled[num_test:]), np.sort(shuffled[:num_test]))
    ids, sizes = _numbered(groups)
    if len(sizes) == 1:
        raise InputError(
            f"{name}: all {total:,} rows are in one group ({groups[0]}), which cannot be split; give a column with more"
            " groups, or a column that says which rows are for testing"
        )
    is_test = np.isin(ids, _nearest_groups(sizes, num_test, order))
    return Rows(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def refuse_torn_groups(rows: Rows, groups: npt.NDArray[Any], name: str) -> None:
    """Refuse a split that was given with the data if rows of one group are in both the pool and the test split.

    Args:
        rows: The rows of both splits.
        groups: The group of each row.
        name: The name of the dataset, for messages.

    Raises:
        InputError: A group is in both splits; the line names the first such groups.
    """
    torn = np.intersect1d(groups[rows.train], groups[rows.test])
    if len(torn):
        are = "group is" if len(torn) == 1 else "groups are"
        raise InputError(
            f"{name}: {len(torn):,} {are} in the training and in the test split:"
            f" {first_of([str(one) for one in torn], NUM_NAMED)}; put all rows of a group into one split, or leave the"
            " split to test_fraction"
        )


def _numbered(groups: npt.NDArray[Any]) -> tuple[Indices, Indices]:
    """The number of each row's group, in the order in which the groups occur, and the number of rows of each group."""
    _, first, ids, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place[ids], sizes[order]


def _nearest_groups(sizes: Indices, wanted: int, order: np.random.Generator) -> Indices:
    """The groups of the test split: a random choice of G groups that has nearly the wanted number of rows.

    Args:
        sizes: (G,) the number of rows of each group; G is at least 2.
        wanted: The wanted number of rows.
        order: The random numbers for the order of the groups.
    """
    shuffled = order.permutation(len(sizes))
    num_whole = int(np.searchsorted(sizes[shuffled].cumsum(), wanted, side="right"))
    kept, open_to_choice = np.split(shuffled[: num_whole + NUM_CHOSEN], [max(0, num_whole - NUM_CHOSEN)])
    room, lengths = wanted - int(sizes[kept].sum()), sizes[open_to_choice].tolist()
    # Bit n of reachable[i] says whether some of the groups from the i-th one on have n rows together.
    reachable = [1]
    for length in reversed(lengths):
        reachable.append(reachable[-1] | reachable[-1] << length)
    reachable.reverse()
    fewest = 0 if len(kept) else 1
    most = sum(lengths) - (1 if len(kept) + len(lengths) == len(sizes) else 0)
    left = next(
        number
        for distance in count()
        for number in (room + distance, room - distance)
        if fewest <= number <= most and reachable[0] >> number & 1
    )
    chosen = []
    for place, length in enumerate(lengths):
        if length <= left and reachable[place + 1] >> (left - length) & 1:
            chosen.append(open_to_choice[place])
            left -= length
    return np.array([*kept, *chosen], np.int64)


def subset(
    rows: Rows, *, train_size: int | None, test_size: int | None, seed: int, name: str, kind: Kind = "images"
) -> Rows:
    """Random subsets of both splits; a smaller subset is contained in a larger one of the same seed.

    Raises:
        InputError: A subset would be larger than its split; one line for each such split.
    """
    wanted = (("train_size", train_size, rows.train), ("test_size", test_size, rows.test))
    problems = [
        f"{name}: {option}: {size} is more than the {len(part)} {kind} there are; give at most {len(part)}"
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
