"""Tests the whole command `--advise`: bots with hidden prices label digits, and the advice names a policy."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labeled_run import answer_to, open_newest_step, open_run, rows_of

from raycal.annotate import __main__ as annotate
from raycal.annotate.advice.command import SUFFIX
from raycal.config import ExperimentConfig
from raycal.experiment.with_people import carry_on
from raycal.people.project import Project
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir
from raycal.storage.sweep_dir import SweepDir

FILE = """\
name: digits
experiment:
  dataset: {name: digits, train_size: 400, test_size: 200}
  model: {weights: none, frozen: true}
  scenario: uncertain+cluster
  expert: people
  iterations: 3
  interactions_per_iteration: 80
  training: {stop: steps, steps: 40, learning_rate: 0.02, image_size: 32}
"""
# What the bots take for an answer, in seconds, which only they know.
SINGLE, CLUSTER, PER_IMAGE = 2.0, 3.0, 0.1


class Bot:
    """Somebody who knows the class of each image, refuses mixed clusters, and takes a little more or less time."""

    def __init__(self, project: Project, truth: np.ndarray) -> None:
        self._project, self._truth = project, truth
        self._rng, self._ids = random.Random(0), iter(range(10**6))

    def answer_step(self, run_dir: RunDir, config: ExperimentConfig) -> None:
        open_newest_step(self._project, run_dir, config)
        while questions := self._project.next("owner", "owner", [], 1)["questions"]:
            (receipt,) = self._project.submit("owner", "owner", [self._answer(questions[0])])
            assert receipt["status"] == "stored"

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        rows = rows_of(question)
        counts = np.bincount(self._truth[rows])
        is_pure = counts.max() >= 0.8 * len(rows)
        seconds = SINGLE if question["kind"] == "sample" else CLUSTER + PER_IMAGE * len(rows)
        return answer_to(
            question,
            int(counts.argmax()) if is_pure else None,
            answer_id=f"{next(self._ids):032x}",
            visible_ms=round(1000 * seconds * self._rng.uniform(0.8, 1.2)),
        )


def label(folder: Path, rounds: int) -> Path:
    """Label some rounds of a project. Return its file; its storage is the folder `runs` beside it."""
    file = folder / "digits.yaml"
    file.write_text(FILE)
    with open_run(file, folder / "runs") as (run, project, dataset, order):
        bot = Bot(project, dataset.labels)
        while True:
            assert carry_on(order), run.run_dir.error()
            if len(run.run_dir.results()) == rounds:
                return file
            bot.answer_step(run.run_dir, run.config)


def advise(file: Path, *options: str) -> int:
    return annotate.main([str(file), "--storage", str(file.parent / "runs"), "--advise", *options])


def project_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (folder / "runs" / "digits").rglob("*") if path.is_file()}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_advice_names_a_policy_and_is_a_sweep_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = label(tmp_path, rounds=2)
    before = project_files(tmp_path)
    capsys.readouterr()

    assert advise(file, "--local") == 0

    printed = capsys.readouterr().out
    assert "the simulation uses the frozen features of resnet18, as this project does" in printed
    assert (
        "the advice comes from a simulation of this team on 400 images of the pool; 100 images of the hold-out measure"
    ) in printed
    assert "images without a label, or with a doubtful one from a cluster, have the label of the most" in printed
    assert "the current policy is simulated for 3 rounds of 66 questions, and not for the 3 rounds of 80" in printed
    assert "errors of the team: not known, because no two people labeled the same image alone, and" in printed
    advice = printed[printed.index("what each policy reaches in") :]
    assert "uncertain+cluster (as now)" in advice
    assert advice.count("points compared with now") in (2, 3)
    assert "Advice" in advice
    assert project_files(tmp_path) == before

    (simulated,) = (tmp_path / "runs" / f"digits.{SUFFIX}").iterdir()
    assert f"folder  {simulated}" in advice
    prices = SweepDir(Folder.at(str(simulated / "trial"))).existing_plan()
    oracle = next(iter(prices.experiments.values())).expert.options["of"]
    assert oracle["seconds_per_sample"] == pytest.approx(SINGLE, rel=0.05)
    # Nearly all clusters of a round have other sizes, so the price of an image is known; both together are within 5 %.
    at_ten = oracle["seconds_per_cluster"] + 10 * oracle["seconds_per_image_shown"]
    assert at_ten == pytest.approx(CLUSTER + 10 * PER_IMAGE, rel=0.05)

    written = {path: path.stat().st_mtime_ns for path in simulated.rglob("results.jsonl")}
    assert len(written) >= 46 + 30
    assert advise(file, "--local") == 0

    again = capsys.readouterr().out
    assert again[again.index("what each policy reaches in") :] == advice
    assert {path: path.stat().st_mtime_ns for path in simulated.rglob("results.jsonl")} == written


def test_advice_needs_a_finished_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(FILE)

    assert advise(file, "--local") == 2

    assert capsys.readouterr().err == "digits: there is no advice before the first round is finished\n"
    assert not (tmp_path / "runs").exists()


def test_local_is_refused_without_advise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert annotate.main([str(tmp_path / "digits.yaml"), "--local"]) == 2

    assert capsys.readouterr().err.startswith("--local: is used only with --advise")
