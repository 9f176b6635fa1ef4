"""Projects whose first two rounds were labeled by simulated people with prices and errors that the advice has to find.

`RAYCAL_ADVICE_FILES` names a folder of `.npz` files with the arrays `vectors` and `label`, each of which is one more
data set, such as the features of real images.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import raycal
from raycal.algorithm.records import Answer, Kind
from raycal.annotate.advice.command import Where, run_trials
from raycal.annotate.advice.labels_so_far import LabelsSoFar, labels_so_far
from raycal.annotate.advice.outcome import PolicyTrials
from raycal.annotate.advice.policies import Policy, policy_of
from raycal.annotate.advice.simulation import Simulation, Team
from raycal.config import ExperimentConfig, load_sweep
from raycal.data import VectorDataset
from raycal.experiment.build import REGISTRIES
from raycal.export.evidence import LabelOrigin
from raycal.export.labels import LabeledImage
from raycal.people.prices import TimedAnswer, fit_prices, oracle_options
from raycal.people.shown import FEW
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

DEFAULT = "cluster+uncertain"  # the scenario of the project file that is written for a folder
HIDDEN = Team(
    prices={
        "seconds_per_sample": 2.0,
        "seconds_per_cluster": 3.4,
        "seconds_per_image_shown": 0.11,
        "seconds_per_refused_cluster": 2.6,
    },
    error_rate=0.03,
)
# The rounds that a project plans, and the number of those that people have labeled.
ROUNDS, LABELED = 4, 2
FILES = "RAYCAL_ADVICE_FILES"  # the folder of further data sets

Samples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def digits() -> Samples:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(np.float32) / 4, found.target


def breast_cancer() -> Samples:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return ((found.data - found.data.mean(0)) / found.data.std(0)).astype(np.float32), found.target


def made_up() -> Samples:
    """Twenty-four classes, some of which are ten times as frequent as others."""
    rng = np.random.default_rng(0)
    groups = rng.choice(24, size=1500, p=(weights := np.linspace(1, 10, 24)) / weights.sum())
    centers = rng.normal(size=(24, 16)) * 1.3
    return (centers[groups] + rng.normal(size=(1500, 16))).astype(np.float32), groups


def from_file(file: Path) -> Samples:
    """At most 4,000 samples of a file with the arrays `vectors` and `label`, such as features of real images."""
    with np.load(file) as arrays:
        vectors, labels = arrays["vectors"], arrays["label"]
    chosen = np.random.default_rng(0).permutation(len(labels))[:4000]
    vectors = vectors[chosen].astype(np.float32)
    return (vectors - vectors.mean(0)) / np.maximum(vectors.std(0), 1e-6), labels[chosen].astype(np.int64)


# The samples of each data set, and the number of questions in a round.
SOURCES: dict[str, tuple[Callable[[], Samples], int]] = {
    "digits": (digits, 30),
    "breast_cancer": (breast_cancer, 24),
    "made_up": (made_up, 40),
}
for one in sorted(Path(os.environ.get(FILES, "/nonexistent")).glob("*.npz")):
    SOURCES[one.stem] = (partial(from_file, one), 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisedProject:
    """A project about which the advice is asked.

    Attributes:
        folder: The folder of its files.
        whole: All samples, with their true labels.
        config: The experiment that is planned.
        interactions: The number of questions in a round.
    """

    folder: Path
    whole: VectorDataset
    config: ExperimentConfig
    interactions: int

    @property
    def file(self) -> Path:
        return self.folder / "whole.npz"

    @property
    def current(self) -> Policy:
        return policy_of(self.config)

    @property
    def guessing(self) -> float:
        return float(np.bincount(self.whole.test_labels).max() / self.whole.num_test)

    @property
    def real(self) -> Simulation:
        """The project itself: all samples, true labels, and people with the hidden prices and errors."""
        return self._simulation(self.file, HIDDEN, self.whole.num_train, 1.0)

    def label(self, seed: int = 0) -> tuple[LabelsSoFar, Simulation]:
        """Let simulated people label the first rounds. Return the labels, and what the advice simulates.

        Args:
            seed: The seed of the labeled rounds.
        """
        folder = self.folder / f"labeled-{seed}"
        planned = settings(self.file, self.interactions) | {"iterations": LABELED, "seed": seed}
        labeled = raycal.run_experiment(planned | {"expert": HIDDEN.expert(self.current)}, storage=folder)
        labels = labels_so_far("project", self.whole, labeled_pool(raycal.load(labeled.folder).labels))
        so_far = folder / "so_far.npz"
        so_far.write_bytes(labels.npz(self.whole.vectors[labels.rows], self.whole.class_names))
        prices = oracle_options(fit_prices(answers(RunDir(Folder.at(str(labeled.folder))))))
        team = Team(prices=prices, error_rate=HIDDEN.error_rate)
        return labels, self._simulation(so_far, team, labels.num_pool, labels.share_of_pool)

    @property
    def where(self) -> Where:
        return Where(storage=str(self.folder), local=True)

    def run(
        self, simulation: Simulation, policies: Sequence[Policy], seeds: Sequence[int], name: str
    ) -> list[PolicyTrials]:
        """Run the trials of a simulation in this process."""
        folder = Folder.at(str(self.folder / "trials"))
        return run_trials(simulation, policies, seeds, name=name, folder=folder, where=self.where)

    def _simulation(self, file: Path, team: Team, pool: int, share: float) -> Simulation:
        return Simulation(
            config=self.config, current=self.current, team=team, file=str(file), pool=pool, share_of_pool=share
        )


def advised_project(name: str, folder: Path) -> AdvisedProject:
    """A project with the samples of a data set, a random quarter of which is the hold-out."""
    source, interactions = SOURCES[name]
    vectors, labels = source()
    order = np.random.default_rng(1).permutation(len(labels))
    vectors, labels = vectors[order], labels[order]
    rows, num_pool = np.arange(len(order)), len(order) * 3 // 4
    np.savez(folder / "whole.npz", vectors=vectors, label=labels, split=np.where(rows < num_pool, "train", "test"))
    whole = VectorDataset(
        vectors=vectors,
        labels=labels,
        train_rows=rows[:num_pool],
        test_rows=rows[num_pool:],
        class_names=tuple(map(str, range(labels.max() + 1))),
    )
    sweep = {"name": "project", "experiment": settings(folder / "whole.npz", interactions)}
    (config,) = load_sweep(sweep, REGISTRIES).experiments.values()
    return AdvisedProject(folder=folder, whole=whole, config=config, interactions=interactions)


def settings(file: Path, interactions: int) -> dict[str, Any]:
    return {
        "dataset": {"name": "embeddings", "file": str(file), "split": "split"},
        "model": {"name": "linear", "frozen": True},
        "scenario": DEFAULT,
        "iterations": ROUNDS,
        "interactions_per_iteration": interactions,
        "training": {"stop": "steps", "steps": 80, "learning_rate": 0.02},
    }


def labeled_pool(rows: pd.DataFrame) -> list[LabeledImage]:
    """The labeled samples of the pool, from the table of labels of a run."""
    return [
        LabeledImage(
            row=row.row,
            source=row.source,
            label=int(row.label),
            how=LabelOrigin(row.how),
            round=0,
            interaction=0,
            annotator=None,
            split="train",
        )
        for row in rows[rows["split"] == "train"].itertuples()
    ]


def answers(run_dir: RunDir) -> list[TimedAnswer]:
    """The answers of the simulated people, which take up to a fifth more or less than their price."""
    rng = np.random.default_rng(2)
    rows = [row for iteration in range(LABELED) for row in run_dir.ledger_of(iteration)]
    return [
        TimedAnswer(
            is_cluster=row.kind is Kind.CLUSTER,
            is_refused=row.answer is Answer.REFUSED,
            shown=min(FEW, row.num_samples),
            marked=0,
            seconds=row.seconds * rng.uniform(0.8, 1.2),
        )
        for row in rows
    ]
