"""Compares the versions of Python and of the packages with the versions that raycal requires."""

import platform
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import raycal
from raycal.doctor.check_result import CheckResult, ok, problem, warning

SHOWN = ("ray", "torch", "torchvision", "faiss-gpu", "faiss-cpu", "mlflow")
INSTALL = "pip install '{}'"
MIN_PYTHON = (3, 11)


def required() -> list[Requirement]:
    """The requirements of raycal on this platform, without extras. They are read from raycal's sources or, without
    sources, from its installation.

    Raises:
        PackageNotFoundError: There are neither sources nor an installation.
    """
    sources = Path(raycal.__file__).parents[1] / "pyproject.toml"
    if sources.is_file():
        texts = tomllib.loads(sources.read_text())["project"]["dependencies"]
    else:
        texts = requires("raycal") or []
    requirements = map(Requirement, texts)
    return [requirement for requirement in requirements if requirement.marker is None or requirement.marker.evaluate()]


def installed(name: str) -> str | None:
    """The installed version of a package; None when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_versions() -> Iterator[CheckResult]:
    """Check Python and every package; of the packages without a problem, only the main packages are named."""
    yield check_python(sys.version_info[:2])
    try:
        needed = required()
    except PackageNotFoundError:
        yield warning("versions", "raycal is not installed, so its requirements are not known", "pip install it")
        return
    yield from check_packages(needed, installed)


def check_python(running: tuple[int, ...]) -> CheckResult:
    """Check whether this Python is new enough."""
    if running < MIN_PYTHON:
        return problem("python", ".".join(map(str, running)), f"raycal needs {'.'.join(map(str, MIN_PYTHON))} or later")
    return ok("python", platform.python_version())


def check_packages(needed: Iterable[Requirement], installed: Callable[[str], str | None]) -> Iterator[CheckResult]:
    """Check whether each package is installed in a version that raycal accepts."""
    for requirement in needed:
        have = installed(requirement.name)
        if have is None:
            yield problem(requirement.name, "is not installed", INSTALL.format(requirement))
        elif not requirement.specifier.contains(have, prereleases=True):
            yield problem(requirement.name, f"{have}, should be {requirement.specifier}", INSTALL.format(requirement))
        elif requirement.name in SHOWN:
            yield ok(requirement.name, have)
