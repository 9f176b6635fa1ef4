"""A sweep on texts, as a user starts it on Ray, with a model that a package ships."""

import csv
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from sweep_command import run, statuses
from text_models import write_static_model

import raycal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

SWEEP = """\
name: small
experiment:
  dataset: {name: text, file: texts.csv, test_fraction: 0.3, on_error: skip}
  model: {name: sentence-transformers/./wordllama, frozen: true}
  scenario: uncertain+cluster
  iterations: 2
  interactions_per_iteration: 20
  training: {stop: steps, steps: 200, learning_rate: 1.0, dtype: float32}
"""
# The classes are modules, and the texts are what their documentation says about their functions and classes.
MODULES = ("numpy.linalg", "numpy.random", "matplotlib.pyplot", "torch.nn")


def write_documentation(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for name in MODULES:
            module = import_module(name)
            documented = [getattr(module, each).__doc__ for each in dir(module) if not each.startswith("_")]
            texts = [text.strip()[:600] for text in documented if isinstance(text, str) and len(text) > 80]
            writer.writerows([text, name] for text in texts[:80])


def test_sweep_learns_the_texts_and_its_model_predicts_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_static_model(tmp_path / "wordllama")
    write_documentation(tmp_path / "texts.csv")
    sweep = tmp_path / "small.yaml"
    sweep.write_text(SWEEP)

    code, output = run(sweep, tmp_path / "ray")

    assert code == 0, output
    assert "Traceback" not in output
    assert raycal.read_sweep(tmp_path / "ray/small").results["test_accuracy"].iloc[-1] > 0.6
    assert statuses(tmp_path / "ray") == {"sweep": ["FINISHED"], "trial": ["FINISHED"]}
    assert len(list((tmp_path / "ray/small").rglob("clusters/iteration-*.html"))) == 2
    report = (tmp_path / "ray/small/report/report.html").read_text(encoding="utf-8")
    assert 'class="montage texts' in report

    out = tmp_path / "out"
    export = [sys.executable, "-m", "raycal.export", str(tmp_path / "ray/small"), "--to", str(out)]
    subprocess.run(export, check=True, capture_output=True)
    texts = ["Eigenvalues and inverse of a square matrix.", "Draw samples from a normal distribution."]
    predict = [sys.executable, str(out / "predict.py"), *texts]
    lines = subprocess.run(predict, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["numpy.linalg", "numpy.random"]
