"""How often guessing is right."""

import numpy as np
from scipy.special import bdtrc

# A model is told from guessing when guessing would be right so often with a smaller probability than this.
LEVEL = 0.01


def guessing_accuracy(share: float, num_test: int) -> float:
    """Return the highest accuracy on a test split that cannot be told from guessing.

    The number of right answers follows a binomial distribution, of whose upper tail `LEVEL` is the probability.

    Args:
        share: The probability that a guess is right.
        num_test: The number of test images.
    """
    more_often = bdtrc(np.arange(num_test + 1), num_test, share)  # P(more right answers than this)
    return int((more_often > LEVEL).sum()) / num_test
