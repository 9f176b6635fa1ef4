"""The accuracy on a test split that guessing can reach."""

import numpy as np

from raycal.algorithm.guessing import guessing_accuracy
from raycal.algorithm.records import Labels


def chance_accuracy(test_labels: Labels, num_classes: int) -> float:
    """The highest accuracy on a test split that is not significantly better than guessing.

    A guess is right with probability 1/K for K classes, or with the share of the largest class if that is larger.
    """
    num_test = len(test_labels)
    share = max(1 / num_classes, float(np.bincount(test_labels).max()) / num_test)
    return guessing_accuracy(share, num_test)
