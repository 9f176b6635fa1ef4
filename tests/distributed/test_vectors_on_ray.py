"""A sweep on vectors, as a user starts it on Ray: reported, tracked, exported, and resumed with two workers."""

import signal
import sys
from pathlib import Path
from subprocess import run as run_process

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sweep_command import log_of, outcome, run, started, statuses, wait_until

import raycal

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

SWEEP = """\
name: small
experiment:
  dataset: {name: embeddings, file: FILE, test_size: 300}
  scenario: uncertain+cluster
  iterations: 3
  interactions_per_iteration: 60
  training: {stop: steps, steps: 300, learning_rate: 0.1}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep file about the pixels of scikit-learn's digits as vectors."""
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", vectors=digits.data / 16, labels=digits.target)
    (tmp_path / "small.yaml").write_text(SWEEP.replace("FILE", str(tmp_path / "digits.npz")))
    return tmp_path / "small.yaml"


@pytest.mark.slow
def test_run_on_ray_can_be_used(sweep: Path, tmp_path: Path) -> None:
    code, output = run(sweep, tmp_path / "ray")

    assert code == 0, output
    assert "Traceback" not in output
    assert statuses(tmp_path / "ray") == {"sweep": ["FINISHED"], "trial": ["FINISHED"]}
    assert (tmp_path / "ray/small/report/report.html").is_file()
    assert not list((tmp_path / "ray").rglob("clusters/*.png"))

    done = raycal.load(tmp_path / "ray/small")
    found = done.labels
    assert {*found["how"]} == {"single", "cluster", "given"}
    assert (found["split"] == "test").sum() == 300
    digits = load_digits()
    accuracy = (done.predict(digits.data / 16).argmax(1) == digits.target).mean()
    assert accuracy >= 0.85
    command = [sys.executable, "-m", "raycal.export", str(tmp_path / "ray/small"), "--to", str(tmp_path / "out")]
    assert run_process(command, check=True, capture_output=True, text=True).stdout.startswith("labels  ")
    np.save(tmp_path / "new.npy", digits.data[:50] / 16)
    predict = [sys.executable, str(tmp_path / "out/predict.py"), str(tmp_path / "new.npy")]
    lines = run_process(predict, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == [
        done.class_names[label] for label in done.predict(digits.data[:50] / 16).argmax(1)
    ]


@pytest.mark.long
def test_interrupted_sweep_with_two_workers_resumes_to_the_same_result(sweep: Path, tmp_path: Path) -> None:
    sweep.write_text(sweep.read_text() + "resources: {workers_per_trial: 2, cpus_per_worker: 1}\n")
    code, output = run(sweep, tmp_path / "whole")
    assert code == 0, output

    broken = tmp_path / "broken"
    with started(sweep, broken) as process:
        wait_until(lambda: "iteration 1/3" in log_of(broken).read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert run(sweep, broken, "--resume")[0] == 0
    assert outcome(broken) == outcome(tmp_path / "whole")
