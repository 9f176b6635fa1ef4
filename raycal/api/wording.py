"""Translates error messages for Python callers: the package writes `--resume`, and a caller writes `resume=True`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from raycal.errors import InputError

_WORDS = (
    (re.compile(r"; --dry-run lists them"), ""),
    (re.compile(r"--(resume|local)\b"), r"\1=True"),
    (re.compile(r"--(storage|only|address)\b"), r"\1"),
    (re.compile(r"--set\b"), "overrides"),
)


@contextmanager
def in_python_words() -> Iterator[None]:
    """Raise every `InputError` of the block again, with its problems translated for Python callers."""
    try:
        yield
    except InputError as error:
        raise InputError(*map(_translated, error.problems)) from error.__cause__


def _translated(problem: str) -> str:
    for pattern, words in _WORDS:
        problem = pattern.sub(words, problem)
    return problem
