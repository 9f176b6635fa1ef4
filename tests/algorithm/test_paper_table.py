"""Tests that the table in the docstring of `raycal.algorithm` names existing functions for every line of Algorithm
1."""

import re
from importlib import import_module

import raycal.algorithm

NAMES = re.findall(r"`(\w+(?:\.\w+)+)`", raycal.algorithm.__doc__ or "")


def resolve(dotted: str) -> object:
    """The object that `module.name.name` refers to in raycal.algorithm."""
    module, *names = dotted.split(".")
    found: object = import_module(f"raycal.algorithm.{module}")
    for name in names:
        found = getattr(found, name)
    return found


def is_resolved(dotted: str) -> bool:
    try:
        return callable(resolve(dotted))
    except (AttributeError, ModuleNotFoundError):
        return False


def test_table_names_most_of_the_algorithm() -> None:
    assert len(set(NAMES)) > 10


def test_every_name_in_the_table_exists() -> None:
    assert [name for name in NAMES if not is_resolved(name)] == []


def test_every_line_of_the_algorithm_has_its_row() -> None:
    rows = re.findall(r"^\| (\d+)(?:-(\d+))? +\|", raycal.algorithm.__doc__ or "", re.MULTILINE)
    lines = {line for first, last in rows for line in range(int(first), int(last or first) + 1)}

    assert lines == set(range(1, 28)) - {22}  # Line 22 is the empty line between the two procedures.
