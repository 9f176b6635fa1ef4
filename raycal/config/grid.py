"""The grid of a sweep: every combination of its values."""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any

from raycal.config.problems import Problems
from raycal.config.setting import Setting

MAX_COMBINATIONS = 10_000
Combination = tuple[Setting, ...]


def combinations(grid: Mapping[str, Any], problems: Problems) -> list[Combination]:
    """Every combination, the last key fastest; none when there are too many."""
    axes = {key: choices for key, choices in grid.items() if isinstance(choices, list) and choices}
    count = prod(len(choices) for choices in axes.values())
    if count > MAX_COMBINATIONS:
        problems.say(("grid",), f"has {count} combinations; at most {MAX_COMBINATIONS} are accepted")
        return []
    return list(product(*(_settings(key, choices) for key, choices in axes.items())))


def _settings(key: str, choices: list[Any]) -> list[Setting]:
    """The values of a key of the grid."""
    return [Setting(key, value, ("grid", key), ("grid", key, row)) for row, value in enumerate(choices)]
