"""The accuracy that a model can reach by guessing alone."""

import numpy as np
from scipy.special import bdtrc

# An accuracy counts as better than guessing if guessing would reach it with a smaller probability than this.
LEVEL = 0.01


def guessing_accuracy(share: float, num_test: int) -> float:
    """Return the highest accuracy on a test split that cannot be distinguished from guessing.

    The number of right answers follows a binomial distribution; the probability of its upper tail is `LEVEL`.

    Args:
        share: The probability that a guess is right.
        num_test: The number of test images.
    """
    # Element k is the probability of more than k right answers by guessing alone.
    more_often = bdtrc(np.arange(num_test + 1), num_test, share)
    return int((more_often > LEVEL).sum()) / num_test
