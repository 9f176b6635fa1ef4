"""The examples of the public API run, one after another, on a sweep of forty images."""

import doctest
import inspect
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import raycal

README = Path(raycal.__file__).parents[1] / "README.md"
# The first example makes the sweep that the others read.
ORDER = ["run_sweep", "read_sweep", "SweepResults", "ExperimentResults", "plot_accuracy", "run_experiment"]


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in ORDER for test in finder.find(getattr(raycal, name), name, globs={"raycal": raycal})]
    return [test for test in found if test.examples]


def test_every_function_and_property_has_an_example() -> None:
    documented = {test.name for test in examples()}
    public = {
        f"{kind.__name__}.{name}"
        for kind in (raycal.SweepResults, raycal.ExperimentResults)
        for name, _ in inspect.getmembers(kind)
        if not name.startswith("_")
    }
    assert documented == public | {"run_sweep", "read_sweep", "plot_accuracy", "run_experiment"}


@pytest.mark.slow
def test_examples_say_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed = [test.name for test in examples() if runner.run(test).failed]
    plt.close("all")
    assert failed == []
    assert (tmp_path / "runs" / "digits" / "plan.json").exists()
