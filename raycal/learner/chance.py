"""What guessing reaches on a test split."""

import numpy as np
from scipy.special import bdtrc

from raycal.algorithm.records import Labels

# A model is told from guessing when guessing would be right so often with a smaller probability than this.
LEVEL = 0.01


def chance_accuracy(test_labels: Labels, num_classes: int) -> float:
    """The highest accuracy on a test split that cannot be told from guessing.

    Whoever guesses is right with the probability 1/K of each of K classes, or with the share of the largest class
    where that is more. The number of right answers then follows a binomial distribution, of whose upper tail `LEVEL` is
    the probability.
    """
    num_test = len(test_labels)
    share = max(1 / num_classes, float(np.bincount(test_labels).max()) / num_test)
    more_often = bdtrc(np.arange(num_test + 1), num_test, share)  # P(more right answers than this)
    return int((more_often > LEVEL).sum()) / num_test
