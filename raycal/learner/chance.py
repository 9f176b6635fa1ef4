"""The accuracy on a test split that guessing can reach."""

import numpy as np
from scipy.special import bdtrc

from raycal.algorithm.records import Labels

# Significance level: a model is better than guessing if guessing reaches its accuracy with a smaller probability.
LEVEL = 0.01


def chance_accuracy(test_labels: Labels, num_classes: int) -> float:
    """The highest accuracy on a test split that is not significantly better than guessing.

    A guess is right with probability 1/K for K classes, or with the share of the largest class where that is larger.
    The number of right guesses then follows a binomial distribution, and a significantly better number lies in its
    upper tail of probability `LEVEL`.
    """
    num_test = len(test_labels)
    share = max(1 / num_classes, float(np.bincount(test_labels).max()) / num_test)
    more_often = bdtrc(np.arange(num_test + 1), num_test, share)  # P(more right guesses than 0, 1, ..., num_test)
    return int((more_often > LEVEL).sum()) / num_test
