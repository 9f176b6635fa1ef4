"""The tests marked `gpu`: how they are started, and what became of each."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from raycal.bench.figure import Figure, Goal

_RESULT = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b", re.MULTILINE)
_ERROR = re.compile(r"^ERROR (\S+)", re.MULTILINE)


def command(root: Path) -> list[str]:
    """Run them, and no file without one: other tests need packages that may be missing. The slowest come last.

    Raises:
        FileNotFoundError: There are no tests.
    """
    files = sorted(
        (str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py") if _is_marked(path)),
        key=lambda name: ("bench" in name, "compiled" in name, name),
    )
    if not files:
        raise FileNotFoundError(f"{root}/tests: there are no tests of a GPU")
    options = ["-m", "gpu", "-v", "-rfE", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers"]
    return [sys.executable, "-m", "pytest", *options, *files]


def figures(output: str) -> Iterator[Figure]:
    """How many passed, failed and were skipped, as far as the output goes."""
    names: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for name, result in _RESULT.findall(output):
        names["failed" if result == "ERROR" else result.lower()].append(name)
    names["failed"] += [name for name in _ERROR.findall(output) if name not in names["failed"]]
    for result, found in names.items():
        yield Figure(
            benchmark="gpu tests",
            name=result,
            value=len(found),
            unit="tests",
            goal=Goal("<=", 0) if result == "failed" else None,
            setting={"names": found},
        )


def _is_marked(path: Path) -> bool:
    return "pytest.mark.gpu" in path.read_text()
