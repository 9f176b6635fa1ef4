"""The command that runs the tests marked `gpu`, and their results."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from raycal.bench.figure import Figure, Goal

_RESULT = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b", re.MULTILINE)
_ERROR = re.compile(r"^ERROR (\S+)", re.MULTILINE)


def command(root: Path) -> list[str]:
    """The command that runs the tests marked `gpu`, the slowest last.

    The command names only the files with such a test, because other files import packages that may be missing.

    Raises:
        FileNotFoundError: There is no such file.
    """
    files = sorted(
        (str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py") if _is_marked(path)),
        key=lambda name: ("bench" in name, "compiled" in name, name),
    )
    if not files:
        raise FileNotFoundError(f"{root}/tests: there are no tests for a GPU")
    options = ["-m", "gpu", "-v", "-rfE", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers"]
    return [sys.executable, "-m", "pytest", *options, *files]


def figures(output: str) -> Iterator[Figure]:
    """The numbers of tests that passed, failed and were skipped, from pytest's output, which may be incomplete."""
    names: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for name, result in _RESULT.findall(output):
        names["failed" if result == "ERROR" else result.lower()].append(name)
    names["failed"] += [name for name in _ERROR.findall(output) if name not in names["failed"]]
    for result, tests in names.items():
        yield Figure(
            benchmark="gpu tests",
            name=result,
            value=len(tests),
            unit="tests",
            goal=Goal("<=", 0) if result == "failed" else None,
            setting={"names": tests},
        )


def _is_marked(path: Path) -> bool:
    return "pytest.mark.gpu" in path.read_text()
