"""Beliefs about classes, of which most are not named: sums and norms over the named classes of each thing."""

import numpy as np

from raycal.algorithm.records import Indices
from raycal.people.evidence_layout import Floats64


class Segments:
    """Consecutive parts of an array, each with the classes that are named for one thing.

    Args:
        owner: (n,) The thing to which each entry belongs, ascending. Each one has an entry.
        number: The number of things.
        num_classes: The number of classes.
    """

    def __init__(self, owner: Indices, number: int, num_classes: int) -> None:
        self._owner, self._number = owner, number
        sizes = np.bincount(owner, minlength=number)
        self._starts = np.cumsum(sizes) - sizes
        self._unnamed = np.maximum(num_classes - sizes, 0).astype(np.float64)
        self.num_unnamed = np.maximum(self._unnamed, 1)

    def sums(self, values: Floats64) -> Floats64:
        """The sum of each part."""
        found: Floats64 = np.add.reduceat(values, self._starts) if self._number else np.zeros(0)
        return found

    def rest(self, belief: Floats64) -> Floats64:
        """The belief in each class that is not named, from that in the named ones."""
        found: Floats64 = np.where(self._unnamed > 0, np.maximum(1 - self.sums(belief), 0) / self.num_unnamed, 0)
        return found

    def normalized(self, log_odds: Floats64) -> tuple[Floats64, Floats64]:
        """The belief in each named class, and in each class that is not named, from the log odds between the two."""
        if not self._number:
            return np.zeros(0), np.zeros(0)
        top = np.maximum(np.maximum.reduceat(log_odds, self._starts), 0)
        values, rest = np.exp(log_odds - top[self._owner]), np.exp(-top)
        total = self.sums(values) + rest * self._unnamed
        return values / total[self._owner], rest / total
