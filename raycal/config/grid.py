"""The grid of a sweep: all combinations of its values, less the excluded combinations, plus the included
combinations.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from raycal.config.problems import Problems, short
from raycal.config.setting import ConfigOverride
from raycal.config.strict import did_you_mean
from raycal.config.yaml_file import Where

MAX_COMBINATIONS = 10_000
INCLUDE, EXCLUDE = "include", "exclude"


class Combination(NamedTuple):
    """The settings of one combination, and its place in the sweep file."""

    settings: tuple[ConfigOverride, ...]
    at: Where


EMPTY_COMBINATION = Combination((), ("experiment",))


def combinations(grid: Mapping[str, Any], problems: Problems) -> list[Combination]:
    """All combinations of the grid, in which the last key varies fastest, followed by the included combinations.

    A grid without keys has one combination, which sets nothing. The list is empty when there are too many combinations.
    """
    axes = {key: choices for key, choices in keys(grid).items() if isinstance(choices, list) and choices}
    included = [
        Combination(tuple(ConfigOverride(key, value, (*at, key), (*at, key)) for key, value in entry.items()), at)
        for at, entry in _entries(grid, INCLUDE, problems)
    ]
    count = prod(len(choices) for choices in axes.values()) + len(included)
    if count > MAX_COMBINATIONS:
        problems.say(("grid",), f"has {count} combinations; at most {MAX_COMBINATIONS} are accepted")
        return []
    excluded = _excluded(grid, axes, problems)
    if included and not axes:
        return included
    picked = [
        Combination(settings, EMPTY_COMBINATION.at)
        for settings in product(*(_settings(key, choices) for key, choices in axes.items()))
        if not any(_matches(entry, settings) for entry in excluded)
    ]
    if not picked and not included:
        problems.say(("grid", EXCLUDE), "excludes every combination")
    return picked + included


def keys(grid: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an experiment for which the grid has values, with these values."""
    return {key: choices for key, choices in grid.items() if key not in (INCLUDE, EXCLUDE)}


def varied_by(grid: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys to which a checked grid gives values, including those of `include`."""
    included = (key for entry in grid.get(INCLUDE, ()) for key in entry)
    return tuple(dict.fromkeys((*keys(grid), *included)))


def _settings(key: str, choices: list[Any]) -> list[ConfigOverride]:
    """The values of a key of the grid, as settings."""
    return [ConfigOverride(key, value, ("grid", key), ("grid", key, row)) for row, value in enumerate(choices)]


def _entries(grid: Mapping[str, Any], name: str, problems: Problems) -> Iterator[tuple[Where, dict[str, Any]]]:
    """The groups in the list `include` or `exclude` of the grid, each with its place."""
    entries = grid.get(name)
    for row, entry in enumerate(entries if isinstance(entries, list) else ()):
        at = ("grid", name, row)
        if isinstance(entry, dict) and entry:
            yield at, entry
        else:
            problems.say(at, f"should be a group of 'key: value' with at least one key, not {short(entry)}")


def _excluded(grid: Mapping[str, Any], axes: Mapping[str, list[Any]], problems: Problems) -> list[list[set[Where]]]:
    """For each entry of `exclude` and each of its keys, the places of the grid values that the key excludes."""
    excluded = []
    for at, entry in _entries(grid, EXCLUDE, problems):
        places: list[set[Where]] = []
        for key, value in entry.items():
            rows = [row for row, choice in enumerate(axes.get(key, ())) if _named(choice) == _named(value)]
            places.append({("grid", key, row) for row in rows})
            # An entry may exclude a value that `--set` has removed from the grid.
            if not rows and not problems.is_overridden(("grid", key)):
                problems.say((*at, key), _not_in_grid(key, value, axes))
        excluded.append(places)
    return excluded


def _matches(entry: list[set[Where]], settings: tuple[ConfigOverride, ...]) -> bool:
    """Whether a combination has one of the excluded values for every key of an entry."""
    places = {setting.value_at for setting in settings}
    return not any(places.isdisjoint(values) for values in entry)


def _not_in_grid(key: str, value: Any, axes: Mapping[str, list[Any]]) -> str:
    if key not in axes:
        return f"is not a key of the grid {did_you_mean(key, axes)}"
    choices = [str(choice)[:60] for choice in axes[key]]
    return f"{short(value)} is not a value of the grid {did_you_mean(str(value), choices)}"


def _named(value: Any) -> Any:
    """The value; the bare name of a component becomes a component without options."""
    return {"name": value} if isinstance(value, str) else value
