"""Comparisons of accuracies that do not depend on the last bit of a float.

An accuracy is a ratio of two whole numbers, and a target or a mean is a ratio of larger whole numbers. Floats do not
hold such ratios exactly: 0.9 * 0.8 is 0.7200000000000001, which 72 right answers of 100 do not reach. Every comparison
of accuracies in the report therefore goes through this module.
"""

from math import copysign

# Two accuracies that differ are much farther apart than this: for a million test images, 100 seeds and accuracies in
# percent, the smallest difference is about 1e-10. Rounding errors are much smaller than this.
DIGITS = 12
# Ratios such as 1/8192 lie halfway between two numbers of twelve digits. Adding this nudge rounds all such ratios away
# from zero, even if a rounding error, which is smaller than the nudge, made them a little larger or a little smaller.
NUDGE = 1e-14


def exact(value: float) -> float:
    """Remove floating-point errors, so that values that are equal in exact arithmetic become the same float."""
    return round(value + copysign(NUDGE, value), DIGITS)


def reaches(accuracy: float, target: float) -> bool:
    """Whether an accuracy is at a target or above it."""
    return exact(accuracy) >= exact(target)
