"""Overrides of a sweep, from a command line (`--set KEY=VALUE`) or Python code (`overrides={key: value}`)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from raycal.config.mapping import plain_value
from raycal.config.problems import Problems, short
from raycal.config.setting import ConfigOverride, Template, put
from raycal.config.yaml_file import parse_value

Overrides = Sequence[str] | Mapping[str, Any]


def apply_overrides(
    values: dict[str, Any], overrides: Overrides, sections: Collection[str], problems: Problems
) -> tuple[list[ConfigOverride], list[str]]:
    """Apply the overrides in the given order.

    Args:
        values: The values of the sweep file. Overrides outside of `experiment` are written into it.
        overrides: `KEY=VALUE` strings from a command line, or values by dotted key.
        sections: The top-level keys of the file. A key that does not begin with one of them is a key of `experiment`.

    Returns:
        The settings that apply to every experiment, and a line for each override that replaces a group and drops some
        of its keys.
    """
    if isinstance(overrides, Mapping):
        name, pairs = _name, _values(overrides, problems)
    else:
        name, pairs = _option, _parsed(overrides, problems)
    settings: list[ConfigOverride] = []
    notes = []
    for key, value in pairs:
        path = _path(key, sections)
        if dropped := _dropped(values, settings, path, value):
            one = dropped[0].partition(" in the ")[0]
            notes.append(
                f"{name(key)} replaces the whole group and drops {', '.join(dropped)}; "
                f"{name(f'{key}.{one}', '=...')} changes one key alone"
            )
        where = tuple(path)
        problems.overridden(where, name(key))
        if path[0] == "experiment" and len(path) > 1:
            values.setdefault("experiment", {})
            settings.append(ConfigOverride(".".join(path[1:]), value, where, where))
        else:
            put(values, path, value)
    return settings, notes


def _option(key: str, value: str = "") -> str:
    """The name of a command-line override in messages."""
    return f"--set {key}{value}"


def _name(key: str, value: str = "") -> str:
    """The name of a Python override in messages. The name does not contain the value, so `value` is ignored."""
    return f"overrides[{key!r}]"


def _parsed(overrides: Sequence[str], problems: Problems) -> Iterator[tuple[str, Any]]:
    """The keys and values of command-line overrides; overrides that cannot be parsed are left out."""
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.split(".")):
            problems.say_line(f"--set {override[:60]}: should be KEY=VALUE, as in --set training.learning_rate=1e-3")
            continue
        try:
            yield key, parse_value(text)
        except ValueError as error:
            problems.say_line(f"--set {key}: {error}")


def _values(overrides: Mapping[str, Any], problems: Problems) -> Iterator[tuple[str, Any]]:
    """The keys and values of Python overrides; values that a sweep file cannot hold are left out."""
    for key, override in overrides.items():
        if not isinstance(key, str) or not all(key.split(".")):
            problems.say_line(f"overrides: {short(key)}: should be a dotted key, as in 'training.learning_rate'")
            continue
        wrong: list[str] = []
        value = plain_value(override, (), wrong)
        for line in wrong:
            problems.say_line(f"{_name(key)}: {line.removeprefix(': ')}")
        if not wrong:
            yield key, value


def _path(key: str, sections: Collection[str]) -> list[str]:
    """The path in the sweep file that the key of an override refers to."""
    path = key.split(".")
    if path[0] not in sections:
        path = ["experiment", *path]
    for dotted in (["grid"], ["search", "space"]):  # the keys in these groups are dotted
        if path[: len(dotted)] == dotted:
            path = [*dotted, *filter(None, [".".join(path[len(dotted) :])])]
    return path


def _dropped(
    values: Mapping[str, Any], settings: Sequence[ConfigOverride], path: Sequence[str], value: Any
) -> list[str]:
    """The keys that are lost when `value` replaces the group at a path, dotted and relative to the group."""
    before: Any = dict(values)
    if path[0] == "experiment" and isinstance(values.get("experiment"), Mapping):
        before["experiment"] = Template(values["experiment"]).fill(settings)
    for key in path:
        before = before.get(key) if isinstance(before, Mapping) else None
    after = set(_keys(value))
    dropped = [key for key in _keys(before) if key not in after]
    if path[0] == "experiment" and isinstance(value, Mapping):
        group = ".".join(path[1:]) + "."
        for name, varied in (("grid", values.get("grid")), ("search", _space(values.get("search")))):
            keys = [key for key in varied if isinstance(key, str)] if isinstance(varied, Mapping) else []
            dropped += [f"{key.removeprefix(group)} in the {name}" for key in keys if key.startswith(group)]
    return dropped


def _space(search: Any) -> Any:
    return search.get("space") if isinstance(search, Mapping) else None


def _keys(group: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values below a group that are not groups themselves. Empty if `group` is not a group."""
    if isinstance(group, Mapping):
        for key, value in group.items():
            if isinstance(value, Mapping) and value:
                yield from _keys(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}"
