"""Tests the names that `import raycal` offers, and which modules this import loads."""

import ast
import inspect
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import raycal

ROOT = Path(raycal.__file__).parents[1]
HEAVY = {"torch", "ray", "mlflow", "pandas", "pydantic", "numpy", "pyarrow", "matplotlib", "yaml", "sklearn", "faiss"}
PUBLIC = [
    *("ExperimentFailedError", "ExperimentResults", "InputError", "LoadedRun", "PoolView", "RaycalError"),
    *("StorageError", "SweepResults", "TakenOverError", "__version__", "attach", "load", "plot_accuracy"),
    *("read_sweep", "run_experiment", "run_sweep"),
]


def python(code: str) -> str:
    """Run code in a fresh process and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True, timeout=60
    ).stdout


def test_import_takes_less_than_a_fifth_of_a_second_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; begin = time.process_time(); import raycal; seconds = time.process_time() - begin\n"
        "print(seconds, *sys.modules)"
    )
    seconds, *modules = min((python(code).split() for _ in range(3)), key=lambda words: float(words[0]))

    assert float(seconds) < 0.2
    assert not set(modules) & HEAVY
    assert [name for name in modules if name.startswith("raycal")] == ["raycal"]


def test_dir_shows_only_the_public_names_whatever_was_imported() -> None:
    assert python("import raycal; print(dir(raycal))") == f"{PUBLIC}\n"
    assert python("import raycal; raycal.run_sweep, raycal.attach; print(dir(raycal))") == f"{PUBLIC}\n"
    assert raycal.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(raycal, name)
    if name != "__version__":
        assert value.__doc__
        assert value.__name__ == name


def test_star_import_and_direct_import_work() -> None:
    code = "from raycal import *; from raycal import read_sweep as same; print(read_sweep is same, InputError.__name__)"
    assert python(code) == "True InputError\n"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raycal' has no attribute 'run_sweeps'"):
        raycal.run_sweeps  # type: ignore[attr-defined]  # noqa: B018


def test_modules_are_imported_from_the_package_as_before() -> None:
    assert python(
        "from raycal.experiment import build; from raycal import errors; print(build.__name__, errors.__name__)"
    ) == ("raycal.experiment.build raycal.errors\n")


def test_types_are_shipped() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "py.typed" in data["raycal"]
    assert (ROOT / "raycal" / "py.typed").read_bytes() == b""


def test_type_checkers_see_what_is_imported_late() -> None:
    """Type checkers read the imports under `TYPE_CHECKING`, and ignore `__getattr__`."""
    tree = ast.parse(Path(raycal.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {line.module: tuple(name.name for name in line.names) for line in block.body}

    assert ast.unparse(block.test) == "TYPE_CHECKING"
    assert seen == raycal._MODULES
    assert sorted(name for names in seen.values() for name in names) == [name for name in PUBLIC if name[0] != "_"]


@pytest.mark.parametrize("name", ["attach", "plot_accuracy", "read_sweep", "run_experiment", "run_sweep"])
def test_functions_are_annotated(name: str) -> None:
    function = getattr(raycal, name)
    parameters = inspect.signature(function).parameters.values()
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
