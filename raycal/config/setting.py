"""A value for a dotted key of an experiment, as the grid and `--set` give it."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

from raycal.config.yaml_file import Where


class Setting(NamedTuple):
    """A value for a dotted key, and where the sweep file has the key and the value."""

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
    """What the experiments of a sweep have in common.

    Attributes:
        base: The settings under `experiment`.
        pinned: By `--set`; they win over what else an experiment is given.
        workers: Of each trial, from the resources.
    """

    base: Mapping[str, Any]
    pinned: Sequence[Setting] = ()
    workers: int = 1

    def settings(self, given: Iterable[Setting]) -> tuple[Setting, ...]:
        """The settings of one experiment in the order in which they apply, without those that `pinned` replaces."""
        kept = (setting for setting in given if not self.pins(setting.key))
        return (*sorted(kept, key=lambda setting: setting.key.count(".")), *self.pinned)

    def pins(self, key: str) -> bool:
        """Whether `--set` gives a value to this key or to one above it."""
        return any(f"{key}.".startswith(f"{pin.key}.") for pin in self.pinned)

    def fill(self, settings: Iterable[Setting]) -> dict[str, Any]:
        """The experiment with these settings, unchecked."""
        filled: dict[str, Any] = deepcopy(dict(self.base))
        for setting in settings:
            put(filled, setting.path, deepcopy(setting.value))
        return filled


def put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path; a bare component name on the way becomes `{name: ...}`."""
    for key in path[:-1]:
        below = tree.get(key)
        if isinstance(below, str):
            below = {"name": below}
        tree[key] = below if isinstance(below, dict) else {}
        tree = tree[key]
    tree[path[-1]] = value


def origin(prefix: Where, loc: Where, settings: Sequence[Setting], *, whole_key: bool) -> Where:
    """Where a problem comes from: the last setting that concerns its place, else what stands at `prefix`.

    Args:
        whole_key: The key of the setting is wrong, not its value.
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
