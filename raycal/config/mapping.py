"""Converts a sweep that Python code gives as nested mappings instead of a file."""

import os
from collections.abc import Mapping
from typing import Any

from raycal.config.yaml_file import Document, Where
from raycal.errors import InputError, printable


def document_of(values: Mapping[str, Any]) -> Document:
    """Return a copy of the values as a document without line numbers.

    Raises:
        InputError: A key is not a string, or a value has a type that a sweep file cannot hold. The error lists all such
            problems.
    """
    problems: list[str] = []
    plain = plain_value(values, (), problems)
    if problems:
        raise InputError(*problems)
    return Document(plain, {})


def plain_value(value: Any, where: Where, problems: list[str]) -> Any:
    """Return a value converted to the types that a YAML file can hold, such as a list for a tuple or an array.

    Args:
        where: The place of the value, for the lines in `problems`.
        problems: Gets one line for each value that cannot stand in a sweep file.
    """
    try:
        return _plain(value, where, problems)
    except RecursionError:
        problems.append("the sweep is nested too deeply")
        return None


def _plain(value: Any, where: Where, problems: list[str]) -> Any:
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        problems += [printable(f"{_dotted((*where, repr(key)))}: a key should be a string") for key in wrong]
        return {str(key): _plain(item, (*where, str(key)), problems) for key, item in value.items() if key not in wrong}
    if isinstance(value, str):
        return str(value)  # the plain text of a StrEnum member
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # a number or an array of NumPy, or a Series of pandas
        return _plain(value.tolist(), where, problems)
    if isinstance(value, list | tuple | range):
        return [_plain(item, (*where, place), problems) for place, item in enumerate(value)]
    kind = type(value).__name__
    problems.append(printable(f"{_dotted(where)}: should be text, a number, a list or a mapping, not of type {kind}"))
    return None


def _dotted(where: Where) -> str:
    return ".".join(map(str, where))
