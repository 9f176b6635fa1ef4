"""`--set KEY=VALUE`: what the command line changes of a sweep file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from raycal.config.problems import Problems
from raycal.config.setting import Setting, Template, put
from raycal.config.yaml_file import parse_value


def apply_overrides(
    values: dict[str, Any], overrides: Sequence[str], sections: Collection[str], problems: Problems
) -> tuple[list[Setting], list[str]]:
    """Carry out every `--set` in the order given.

    Args:
        values: The sweep file; settings that are not of every experiment are put into it.
        sections: Its top-level keys; a key that begins with none of them is one of `experiment`.

    Returns:
        The settings of every experiment, and a line for each `--set` that replaces a group and drops keys of it.
    """
    settings: list[Setting] = []
    notes = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.split(".")):
            problems.say_line(f"--set {override[:60]}: should be KEY=VALUE, as in --set training.learning_rate=1e-3")
            continue
        try:
            value = parse_value(text)
        except ValueError as error:
            problems.say_line(f"--set {key}: {error}")
            continue
        path = _path(key, sections)
        if dropped := _dropped(values, settings, path, value):
            one = dropped[0].partition(" in the ")[0]
            notes.append(
                f"--set {key} replaces the whole group and drops {', '.join(dropped)}; "
                f"--set {key}.{one}=... changes one key alone"
            )
        where = tuple(path)
        problems.overridden(where, key)
        if path[0] == "experiment" and len(path) > 1:
            values.setdefault("experiment", {})
            settings.append(Setting(".".join(path[1:]), value, where, where))
        else:
            put(values, path, value)
    return settings, notes


def _path(key: str, sections: Collection[str]) -> list[str]:
    """The place in the sweep file that a key of `--set` means."""
    path = key.split(".")
    if path[0] not in sections:
        path = ["experiment", *path]
    for dotted in (["grid"], ["search", "space"]):  # groups of dotted keys
        if path[: len(dotted)] == dotted:
            path = [*dotted, *filter(None, [".".join(path[len(dotted) :])])]
    return path


def _dropped(values: Mapping[str, Any], settings: Sequence[Setting], path: Sequence[str], value: Any) -> list[str]:
    """The keys of a group, dotted below it, that are given until now and no longer when `value` replaces the group."""
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
    """The dotted keys of everything below a group that is no group itself; none of what is no group."""
    if isinstance(group, Mapping):
        for key, value in group.items():
            if isinstance(value, Mapping) and value:
                yield from _keys(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}"
