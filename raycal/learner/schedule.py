"""The learning rate of each optimizer step, as a factor of the setting `learning_rate`."""

from math import cos, pi
from typing import Literal


def warmup_steps(warmup: float, total: int) -> int:
    """The number of steps during which the learning rate rises.

    Args:
        warmup: A number of steps if it is 1 or more, otherwise a share of all steps.
        total: The number of steps of the training.
    """
    return int(warmup) if warmup >= 1 else round(warmup * total)


def rate_factor(step: int, total: int, schedule: Literal["constant", "cosine"], warmup: float) -> float:
    """The factor of the learning rate in one step of a training.

    The factor rises linearly over the warm-up and is 1 in its last step. After the warm-up it stays 1 or, with
    `cosine`, falls from 1 along half a cosine, and would be 0 in the step after the last one.

    Args:
        step: The number of the step; the first step has the number 0.
        total: The number of steps of the training, or the largest possible number if the training may end earlier.
        warmup: As for `warmup_steps`. A training that is not longer than its warm-up ends while the rate rises.
    """
    rising = warmup_steps(warmup, total)
    if step < rising:
        return (step + 1) / rising
    if schedule == "constant":
        return 1.0
    return (1 + cos(pi * (step - rising) / (total - rising))) / 2
