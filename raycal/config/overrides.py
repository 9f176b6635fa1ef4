"""`--set KEY=VALUE`: what the command line changes of a sweep file."""

from collections.abc import Collection
from typing import Any

from raycal.config.problems import Problems
from raycal.config.setting import Setting, put
from raycal.config.yaml_file import parse_value


def apply_override(
    values: dict[str, Any], override: str, sections: Collection[str], problems: Problems
) -> Setting | None:
    """Carry out one `--set`: a setting of every experiment is returned, any other is put into `values`.

    Args:
        values: The sweep file.
        sections: Its top-level keys; a key that begins with none of them is one of `experiment`.
    """
    key, equals, text = override.partition("=")
    path = key.split(".")
    if not equals or not all(path):
        problems.say_line(f"--set {override[:60]}: should be KEY=VALUE, as in --set training.learning_rate=1e-3")
        return None
    try:
        value = parse_value(text)
    except ValueError as error:
        problems.say_line(f"--set {key}: {error}")
        return None
    if path[0] not in sections:
        path = ["experiment", *path]
    for dotted in (["grid"], ["search", "space"]):  # groups of dotted keys
        if path[: len(dotted)] == dotted:
            path = [*dotted, *filter(None, [".".join(path[len(dotted) :])])]
    where = tuple(path)
    problems.overridden(where, key)
    if path[0] == "experiment" and len(path) > 1:
        values.setdefault("experiment", {})
        return Setting(".".join(path[1:]), value, where, where)
    put(values, path, value)
    return None
