"""Runs the examples in the docstrings of the public API, one after another, on a sweep of forty images."""

import doctest
import inspect
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import raycal

README = Path(raycal.__file__).parents[1] / "sweeps" / "README.md"
# The first example makes the sweep that the other examples read.
ORDER = [
    "run_sweep",
    "read_sweep",
    "SweepResults",
    "ExperimentResults",
    "plot_accuracy",
    "load",
    "LoadedRun",
    "run_experiment",
]


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test for name in ORDER for test in finder.find(getattr(raycal, name), name, globs={"raycal": raycal, "np": np})
    ]
    return [test for test in found if test.examples]


def test_every_function_and_property_has_an_example() -> None:
    documented = {test.name for test in examples()}
    public = {
        f"{kind.__name__}.{name}"
        for kind in (raycal.SweepResults, raycal.ExperimentResults, raycal.LoadedRun)
        for name, _ in inspect.getmembers(kind)
        if not name.startswith("_")
    }
    assert documented == public | {"run_sweep", "read_sweep", "plot_accuracy", "load", "run_experiment"}


@pytest.mark.slow
def test_examples_say_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed = [test.name for test in examples() if runner.run(test).failed]
    plt.close("all")
    assert failed == []
    assert (tmp_path / "runs" / "digits" / "plan.json").exists()


BIRDS = """\
name: birds
experiment:
  dataset: {name: digits, train_size: 40, test_size: 20}
  model: {weights: none}
  iterations: 2
  interactions_per_iteration: 10
  training: {epochs: 1, image_size: 32}
grid:
  scenario: [random, cluster-only]
  expert.purity_threshold: [0.7, 0.8]
  seed: [0, 1, 2]
"""


def notebook() -> str:
    """The code of the example in sweeps/README.md, without its indentation."""
    (block,) = re.findall(r"^    import raycal\n(?:(?:    .*)?\n)+", README.read_text(), re.MULTILINE)
    return "\n".join(line[4:] for line in block.splitlines())


def test_notebook_of_the_readme_is_a_notebook_cell_long() -> None:
    assert 8 <= len([line for line in notebook().splitlines() if line]) <= 12
    compile(notebook(), "sweeps/README.md", "exec")


@pytest.mark.slow
def test_notebook_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "birds.yaml").write_text(BIRDS)
    names: dict[str, Any] = {}

    exec(notebook(), names)

    assert names["sweep"].trials["state"].tolist() == ["finished"] * 6
    printed = capsys.readouterr().out
    assert "birds: 6 trials, 6 to run" in printed
    assert "random s0" in printed
    assert names["ax"].get_legend_handles_labels()[1] == ["random", "cluster-only"]
    assert (tmp_path / "figure2.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "runs" / "birds" / "report" / "report.html").exists()
    assert (tmp_path / "runs" / "mlflow.db").exists()
    plt.close("all")
