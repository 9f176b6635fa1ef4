"""Settings: values for dotted keys of an experiment, given by the grid, the search or `--set`."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

from raycal.config.yaml_file import Where


class ConfigOverride(NamedTuple):
    """A value for a dotted key, and the places of the key and of the value in the sweep file."""

    key: str
    value: Any
    key_at: Where
    value_at: Where

    @property
    def path(self) -> list[str]:
        """The parts of the key."""
        return self.key.split(".")


@dataclass(frozen=True, slots=True)
class Template:
    """The common part of all experiments of a sweep.

    Attributes:
        base: The settings under `experiment`.
        pinned: The settings given with `--set`, which override all others.
        workers: Number of workers of each trial, from the resources.
    """

    base: Mapping[str, Any]
    pinned: Sequence[ConfigOverride] = ()
    workers: int = 1

    def settings(self, candidates: Iterable[ConfigOverride]) -> tuple[ConfigOverride, ...]:
        """The settings of one experiment in the order in which they apply, without those that `pinned` overrides."""
        kept = (setting for setting in candidates if not self.pins(setting.key))
        return (*sorted(kept, key=lambda setting: setting.key.count(".")), *self.pinned)

    def pins(self, key: str) -> bool:
        """Whether `--set` gives a value to this key or to a group that contains it."""
        return any(f"{key}.".startswith(f"{pin.key}.") for pin in self.pinned)

    def fill(self, settings: Iterable[ConfigOverride]) -> dict[str, Any]:
        """The experiment with these settings, not checked yet."""
        filled: dict[str, Any] = deepcopy(dict(self.base))
        for setting in settings:
            put(filled, setting.path, deepcopy(setting.value))
        return filled


def put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path; a component on the path that is a bare name becomes `{name: ...}`."""
    for key in path[:-1]:
        below = tree.get(key)
        if isinstance(below, str):
            below = {"name": below}
        tree[key] = below if isinstance(below, dict) else {}
        tree = tree[key]
    tree[path[-1]] = value


def origin(prefix: Where, loc: Where, settings: Sequence[ConfigOverride], *, whole_key: bool) -> Where:
    """The place that caused a problem: the last setting that affects `loc`, or else the place below `prefix`.

    Args:
        prefix: The place of the experiment in the sweep file.
        loc: The place of the problem in the experiment.
        settings: The settings of the experiment, in the order in which they apply.
        whole_key: Whether the key of the setting is wrong, not its value.
    """
    place = list(map(str, loc))
    for setting in settings[::-1]:
        path = setting.path
        if place[: len(path)] == path:
            if whole_key and place == path:
                return setting.key_at
            return (*setting.value_at, *loc[len(path) :])
        if path[: len(place)] == place:
            return setting.key_at
    return (*prefix, *loc)
