"""Decides which accuracies are meaningless, because a model that guesses reaches them on the same test split."""

from collections.abc import Iterable, Mapping
from typing import Any

from raycal.report.stats.comparison import Comparison
from raycal.report.stats.rounding import reaches

LONGER = "train longer (training.steps or training.epochs) or with another training.learning_rate"
LEARN_MORE = f"{LONGER}; more test images lower what guessing reaches"
BETTER_TEST = "guessing can reach every accuracy on this test split; add test images of every class"

# A test split counts as imbalanced if the accuracy of guessing its largest class exceeds the accuracy of guessing among
# equally large classes by at least this much.
IMBALANCED = 0.1
IMBALANCED_ADVICE = (
    "the classes of the test split are imbalanced: with equally many test images of every class, guessing would reach "
    "up to {:.3f}, so add test images of the other classes or remove some of the largest class"
)


def guessing_level(comparison: Comparison) -> float | None:
    """The highest accuracy that cannot be distinguished from guessing on a test split of the dataset.

    The test splits of different seeds may differ a little; the highest level counts. The result is None if all trials
    were run by an earlier version of raycal, which did not record the level.
    """
    return highest(line for group in comparison.groups for trial in group.trials for line in trial.lines)


def highest(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """The highest level of guessing in the records. None if no record has one."""
    levels = [level for line in lines if (level := line.get("chance_accuracy")) is not None]
    return max(levels, default=None)


def is_guessing(accuracy: float, level: float | None) -> bool:
    """Whether an accuracy is at most the level of guessing."""
    return level is not None and reaches(level, accuracy)


def advice(level: float, even: float | None = None) -> str:
    """Advice about models whose accuracy cannot be distinguished from guessing.

    Args:
        level: The accuracy that guessing reaches on the test split.
        even: The accuracy that guessing would reach on a test split with equally many images of every class; None if it
            is unknown.
    """
    if even is not None and level - even > IMBALANCED:
        return IMBALANCED_ADVICE.format(even)
    return BETTER_TEST if reaches(level, 1.0) else LEARN_MORE
