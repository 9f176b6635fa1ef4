"""What guessing reaches on a test split."""

import numpy as np

from raycal.algorithm.guessing import guessing_accuracy
from raycal.algorithm.records import Labels


def chance_accuracy(test_labels: Labels, num_classes: int) -> float:
    """Return the highest accuracy on a test split that cannot be told from guessing.

    Whoever guesses is right with the probability 1/K of each of K classes, or with the share of the largest class
    where that is more.
    """
    num_test = len(test_labels)
    share = max(1 / num_classes, float(np.bincount(test_labels).max()) / num_test)
    return guessing_accuracy(share, num_test)
