"""Makes the folder of a project that bots labeled. The bots call the project and the worker directly, without a
server."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raycal.algorithm.questions import StepQuestions
from raycal.annotate.labeling import new_project
from raycal.annotate.samples import ProjectSamples
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import LoadedDataset
from raycal.experiment import build
from raycal.experiment.with_people import WorkerOrder, carry_on
from raycal.people.probes import ProbeSettings, write_settings
from raycal.people.project import Project
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import StopRules, write_rules
from raycal.storage.folder import Folder
from raycal.storage.inputs import Inputs
from raycal.storage.run_dir import RunDir
from raycal.sweep.job import Job, Request, prepare
from raycal.sweep.run import take_folder

COLORS = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (200, 40, 30)}
NAMES = tuple(sorted(COLORS))
FILE = """\
name: colors
experiment:
  dataset: {{name: images, root: '{root}', holdout: 24}}
  model: {{weights: none}}
  scenario: {scenario}
  expert: people
  iterations: {iterations}
  interactions_per_iteration: {interactions}
  training: {{epochs: 2, batch_size: 16, learning_rate: 0.01, image_size: 32, cluster_weight: {cluster_weight}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledRun:
    """A project that bots labeled.

    Attributes:
        file: The project file.
        storage: The folder that holds the folder of the project.
        job: The job of the project.
        config: The experiment of the project.
        settings: The compute settings with which the model was trained.
    """

    file: Path
    storage: Path
    job: Job
    config: ExperimentConfig
    settings: WorkerSettings

    @property
    def run_dir(self) -> RunDir:
        return self.job.sweep_dir.run_dir(self.config.experiment_id)

    @property
    def folder(self) -> Folder:
        return self.job.sweep_dir.folder


def write_images(root: Path, number: int = 96) -> None:
    """Write images whose file name starts with the color that they show."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for at in range(number):
        name = NAMES[at % len(NAMES)]
        pixels = np.clip(rng.normal(COLORS[name], 30, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{name}-{at:03d}.png")


def label_run(
    tmp_path: Path,
    *,
    rounds: int,
    iterations: int = 2,
    interactions: int = 16,
    scenario: str = "uncertain+cluster",
    stop_rules: StopRules | None = None,
    num_images: int = 96,
    probe_share: float = 0.0,
    after_step: Callable[[Project, RunDir], object] = lambda project, run_dir: None,
    cluster_weight: float | str = 1,
) -> LabeledRun:
    """Label some rounds of a new project. After all rounds, the run is finished.

    Args:
        after_step: Called when a step was answered, before the worker goes on.
    """
    write_images(tmp_path / "colors", num_images)
    file, storage = tmp_path / "colors.yaml", tmp_path / "runs"
    file.write_text(
        FILE.format(
            root=tmp_path / "colors",
            scenario=scenario,
            iterations=iterations,
            interactions=interactions,
            cluster_weight=cluster_weight,
        )
    )
    opened = open_run(file, storage, stop_rules=stop_rules, probe_share=probe_share)
    with opened as (run, project, dataset, order):
        bots = Bots(project, [Path(name).name.split("-")[0] for name in dataset.source.names])
        while len(run.run_dir.results()) < rounds:
            assert carry_on(order), run.run_dir.error()
            bots.answer_step(run.run_dir, run.config)
            after_step(project, run.run_dir)
        if rounds == iterations:
            assert carry_on(order), run.run_dir.error()
    return run


@contextmanager
def open_run(
    file: Path, storage: Path, *, stop_rules: StopRules | None = None, probe_share: float = 0.0
) -> Iterator[tuple[LabeledRun, Project, LoadedDataset, WorkerOrder]]:
    """Open a project for bots. Yield its run, the project, its samples, and the order that carries it on."""
    job = prepare(Request(sweep=str(file), storage=str(storage), local=True, resume=True, people=True, track=False))
    (config,) = job.selected.values()
    run_folder = job.sweep_dir.folder.folder(config.experiment_id)
    opened = ProjectSamples().open(config, run_folder)
    job, lease = take_folder(job, {}, 1, Inputs())
    if stop_rules is not None:
        write_rules(run_folder, stop_rules)
    write_settings(run_folder, ProbeSettings(share=probe_share))
    settings = WorkerSettings(threads=1)
    order = WorkerOrder(
        config=config,
        sweep_folder=job.sweep_dir.folder.uri,
        lease=lease.record,
        settings=settings,
        doubts_labels=job.sweep.checks.look_again > 0,
    )
    run = LabeledRun(file=file, storage=storage, job=job, config=config, settings=settings)
    with new_project(job, config, run_folder, opened.dataset, "epoch") as project:
        yield run, project, opened.dataset, order


def open_newest_step(project: Project, run_dir: RunDir, config: ExperimentConfig) -> StepQuestions | None:
    """Let the project ask the questions of the newest step. Return this step; None if no step waits for answers."""
    steps = StepFiles(run_dir.folder.folder(STEPS))
    place = steps.newest()
    step = None if place is None or place[0] != len(run_dir.results()) else steps.read(*place)
    halve = None if step is None else partial(
        steps.halves, step, clustering=build.clustering(config), seed=config.seed
    )  # fmt: skip
    project.open_step(step, len(run_dir.results()), "open" if step else "training", halve=halve)
    return step


def rows_of(question: dict[str, Any]) -> list[int]:
    """The rows of all samples that a page shows for a question."""
    whole = [question["image"]] if question["kind"] == "sample" else question.get("all", [])
    return [*whole, *(row for band in question.get("bands", {}).values() for row in band)]


def answer_to(
    question: dict[str, Any], label: int | None, *, answer_id: str, visible_ms: int, marked: Sequence[int] = ()
) -> dict[str, Any]:
    """The message of a page with the label of a question, or with its refusal if there is no label."""
    return {
        "type": "answered",
        "id": answer_id,
        "question": question["id"],
        "answer": "refused" if label is None else "label",
        "label": label,
        "new_class": None,
        "marked": list(marked),
        "shown": len(rows_of(question)),
        "suggestion_shown": False,
        "timing": {"visible_ms": visible_ms, "gaps_ms": []},
    }


class Bots:
    """Two people, who know the color of each image and take turns."""

    def __init__(self, project: Project, colors: list[str]) -> None:
        self._project, self._colors = project, colors
        self._rng, self._ids = random.Random(0), iter(range(10**6))

    def answer_step(self, run_dir: RunDir, config: ExperimentConfig) -> None:
        """Answer everything that can be answered now."""
        step = open_newest_step(self._project, run_dir, config)
        asked: list[str] = []
        for number, question in enumerate(self._questions()):
            asked.append(question["id"])
            who = "owner" if number % 3 else "person-1"
            reply = self._answer(question)
            receipts = self._send(who, question["id"], reply)
            if number % 7 == 3:  # A person takes an answer back, and gives it again.
                receipts += self._project.submit(who, who, [{"type": "undone", "id": self._id()}])
                receipts += self._send(who, question["id"], reply)
            if number % 7 == 5:  # Another person answers the same question, without knowing about the first answer.
                receipts += self._send("person-2", question["id"], reply)
            assert "refused" not in {receipt["status"] for receipt in receipts if "closed" not in receipt["text"]}
        if step is not None:  # Another person answers after the step was closed.
            late = {"answer": "label", "label": 0, "shown": 1, "timing": {"visible_ms": 4000, "gaps_ms": []}}
            (receipt,) = self._send("person-2", next(one for one in asked if one[0] != "h"), late)
            assert receipt["status"] == "late"

    def _send(self, who: str, question: str, reply: dict[str, Any]) -> list[dict[str, Any]]:
        common = {"type": "answered", "id": self._id(), "question": question, "suggestion_shown": False}
        return self._project.submit(who, who, [{**common, "new_class": None, "marked": [], **reply}])

    def _questions(self) -> Iterator[dict[str, Any]]:
        while questions := self._project.next("owner", "owner", [], 1)["questions"]:
            yield questions[0]

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["kind"] == "sample":
            timing = {"visible_ms": self._rng.randrange(1500, 2500), "gaps_ms": []}
            color = self._colors[question["image"]]
            return {"answer": "label", "label": None, "new_class": color, "shown": 1, "timing": timing}
        rows = rows_of(question)
        colors = [self._colors[row] for row in rows]
        color = max(NAMES, key=colors.count)
        others = [row for row, own in zip(rows, colors, strict=True) if own != color]
        timing = {"visible_ms": 3000 + 100 * len(rows) + 500 * len(others), "gaps_ms": []}
        if len(rows) > 1 and question["id"].endswith(".1"):
            answer = "split" if len(rows) > 15 else "refused"
            return {"answer": answer, "label": None, "shown": len(rows), "timing": timing}
        labeled = {"answer": "label", "label": None, "new_class": color, "marked": others}
        return {**labeled, "shown": len(rows), "timing": timing}

    def _id(self) -> str:
        return f"{next(self._ids):032x}"
