"""Makes projects that simulated people label who make errors, and measures how well their models learn."""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from labeled_run import answer_to, open_newest_step, open_run, rows_of
from torch import nn

from raycal.algorithm.records import Answer, Kind, Labels
from raycal.config import ExperimentConfig
from raycal.experiment.with_people import carry_on
from raycal.networks import networks
from raycal.people.project import Project
from raycal.storage.run_dir import RunDir

# Some checks, by which the posterior can learn who errs. Second looks would correct labels, so they are off.
CHECKS = {"repeats": 0.0, "shared": 0.3, "audits": 0.1, "look_again": 0.0, "share": 0.2, "gold": 0}
OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """People who label, and what they get wrong.

    Attributes:
        error_rates: For each person, the share of the answers that name a wrong class, for single images and clusters.
        purity: The share of a cluster that has to be alike for the cluster to get a label.
        marked: The share of the odd images that people mark in a cluster that gets a label.
    """

    error_rates: Mapping[str, float] = field(default_factory=lambda: {OWNER: 0.0, "person-1": 0.0})
    purity: float = 0.8
    marked: float = 0.0


class Outcome(NamedTuple):
    """What came of the labels of a project: the test accuracy after each round, and the share of the labels of
    clusters that were wrong, over all rounds."""

    accuracies: list[float]
    wrong: float


@contextmanager
def network_of_pixels() -> Iterator[str]:
    """Register a linear classifier of the 8 x 8 pixels of a digit, so that a round takes less than a second. Yield its
    name."""
    name = "pixels"

    @networks(name, gflop=3.84e-6)
    def pixels(num_classes: int) -> nn.Module:
        head = nn.Linear(3 * 8 * 8, num_classes)
        return nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(8), flatten=nn.Flatten(), head=head))

    yield name
    networks.forget(name)


def label_with_errors(folder: Path, settings: Mapping[str, Any], team: Team) -> Outcome:
    """Let a team label all rounds of a new project.

    Args:
        settings: The settings of the experiment, without the expert.
    """
    with labeled_with_errors(folder, settings, team, CHECKS) as (run_dir, truth):
        rows = [row for number in range(settings["iterations"]) for row in run_dir.ledger_of(number)]
        accuracies = [line["test_accuracy"] for line in run_dir.results()]
    is_wrong = [
        truth[row.indices] != row.label for row in rows if row.kind is Kind.CLUSTER and row.answer is Answer.LABELED
    ]
    return Outcome(accuracies, float(np.concatenate(is_wrong).mean()))


@contextmanager
def labeled_with_errors(
    folder: Path,
    settings: Mapping[str, Any],
    team: Team,
    checks: Mapping[str, float],
    *,
    before_answers: Callable[[RunDir], object] = lambda run_dir: None,
    doubts_labels: bool | None = None,
) -> Iterator[tuple[RunDir, Labels]]:
    """Let a team label all rounds of a new project, and yield the folder of its run and the true labels of the pool.

    Args:
        settings: The settings of the experiment, without the expert.
        checks: The block `checks` of the project file.
        before_answers: Called with the folder of the run after each round, before people answer.
        doubts_labels: Whether labels are predicted by cross-validation. None means that it follows from the checks.
    """
    folder.mkdir(parents=True)
    file = folder / "erring.yaml"
    experiment = {**settings, "expert": "people"}
    file.write_text(yaml.safe_dump({"name": "erring", "experiment": experiment, "checks": dict(checks)}))
    with open_run(file, folder / "runs") as (run, project, dataset, order):
        if doubts_labels is not None:
            order = replace(order, doubts_labels=doubts_labels)
        bots = ErringBots(team, project, np.asarray(dataset.labels), int(settings["seed"]))
        run_dir = run.run_dir
        while len(run_dir.results()) < settings["iterations"]:
            assert carry_on(order), run_dir.error()
            before_answers(run_dir)
            bots.answer_step(run_dir, run.config)
        yield run_dir, np.asarray(dataset.labels)[dataset.train_rows]


class ErringBots:
    """The people of a team, who take turns. Whoever sees the same images again with the same seed answers the same,
    except who is asked to look again."""

    def __init__(self, team: Team, project: Project, truth: Labels, seed: int) -> None:
        self._team, self._project, self._truth, self._seed = team, project, truth, seed
        self._ids = iter(range(10**6))

    def answer_step(self, run_dir: RunDir, config: ExperimentConfig) -> None:
        """Answer everything that can be answered now."""
        open_newest_step(self._project, run_dir, config)
        has_asked = True
        while has_asked:
            has_asked = False
            for who in self._team.error_rates:
                for question in self._project.next(who, who, [], 1)["questions"]:
                    has_asked = True
                    (receipt,) = self._project.submit(who, who, [self._answer(who, question)])
                    assert receipt["status"] == "stored", receipt

    def _answer(self, who: str, question: dict[str, Any]) -> dict[str, Any]:
        rows = rows_of(question)
        counts = np.bincount(self._truth[rows], minlength=int(self._truth.max()) + 1)
        main, is_pure = int(counts.argmax()), counts.max() >= self._team.purity * len(rows)
        look = ".look again" if question.get("purpose") == "look_again" else ""
        rng = random.Random(f"{self._seed}.{who}.{sorted(rows)}{look}")
        marked = [row for row in rows if self._truth[row] != main and rng.random() < self._team.marked]
        if rng.random() < self._team.error_rates[who]:
            main = (main + rng.randrange(1, len(counts))) % len(counts)
        return answer_to(
            question,
            main if is_pure else None,
            answer_id=f"{next(self._ids):032x}",
            visible_ms=2000,
            marked=marked if is_pure else (),
        )
