"""A small experiment for tests: Algorithm 1 with a nearest-mean learner on 2-D points."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition import HeadWeights, acquisitions
from raycal.algorithm.clustering import Clustering
from raycal.algorithm.expert import Cluster, ClusterAnswer, Expert, Oracle
from raycal.algorithm.loop import Components, LoopSettings, active_learning
from raycal.algorithm.pseudo_labels import pseudo_labels
from raycal.algorithm.records import (
    Evaluation,
    Floats,
    Indices,
    Interaction,
    IterationResult,
    Labels,
    LoopState,
    Predictions,
    TrainingSet,
)
from raycal.algorithm.scenario import SCENARIOS, Ask, PseudoLabelsBy, Scenario, Step

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


THIRDS = Scenario(name="thirds", steps=(Step(Ask.CLUSTERS, THIRD), Step(Ask.RANDOM, THIRD), Step(Ask.UNCERTAIN, THIRD)))


RANDOM_CEAL = Scenario(name="random-ceal", steps=(Step(Ask.RANDOM, Fraction(1)),), pseudo_labels=PseudoLabelsBy("ceal"))


EVERY_SCENARIO = {**SCENARIOS, THIRDS.name: THIRDS, RANDOM_CEAL.name: RANDOM_CEAL}


# NearestMeans is less certain than a network. With these options, some samples get a pseudo-label and others do not.
PSEUDO_OPTIONS: dict[str, dict[str, Any]] = {
    "ceal": {"delta": 0.9, "decay": 0.05},
    "confident": {"threshold": 0.6},
    "label_propagation": {"neighbors": 3, "min_certainty": 0.5},
}


NUM_CLASSES = 3


class NearestMeans:
    """A learner with one mean per class that records its calls.

    Training moves the mean of each class in the training set to the mean of its samples, with a small random offset.
    """

    def __init__(self, points: Floats, true_labels: Labels) -> None:
        self._points, self._true_labels = points, true_labels
        self.means = np.zeros((NUM_CLASSES, 2))
        self.calls: list[str] = []
        self.heads: list[npt.NDArray[np.float64]] = []
        self.trained_on: list[TrainingSet] = []
        self.trained: list[npt.NDArray[np.float64]] = []
        self.asked: list[Indices] = []
        self.asking: list[npt.NDArray[np.float64]] = []

    def reset(self, rng: np.random.Generator) -> None:
        self.calls.append("reset")
        self.means = rng.normal(size=self.means.shape)
        self.heads.append(self.means)

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> None:
        self.calls.append("fit")
        self.trained_on.append(training_set)
        self.means = self.means.copy()
        for label in np.unique(training_set.labels):
            members = training_set.indices[training_set.labels == label]
            self.means[label] = self._points[members].mean(axis=0) + 0.1 * rng.normal(size=2)
        self.trained.append(self.means)

    def predict(self, indices: Indices) -> Predictions:
        self.calls.append("predict")
        self.asked.append(indices)
        self.asking.append(self.means)
        distances = self._distances(indices)
        probs = np.exp(-distances) / np.exp(-distances).sum(axis=1, keepdims=True)
        for array in (probs, distances):
            array.flags.writeable = False  # The arrays are read-only, like arrays from another process.
        return Predictions(indices=indices, probs=probs, embeddings=distances)

    def head(self) -> HeadWeights:
        return HeadWeights(weights=-np.eye(NUM_CLASSES, dtype=np.float32), bias=np.zeros(NUM_CLASSES, np.float32))

    def save(self) -> bytes:
        return self.means.tobytes()

    def load(self, saved: bytes) -> None:
        self.calls.append("load")
        self.means = np.frombuffer(saved).reshape(NUM_CLASSES, 2)

    def evaluate(self) -> Evaluation:
        self.calls.append("evaluate")
        distances = self._distances(np.arange(len(self._points)))
        accuracy = float((distances.argmin(axis=1) == self._true_labels).mean())
        return Evaluation(accuracy=accuracy, loss=float(distances.min(axis=1).mean()))

    def _distances(self, indices: Indices) -> Floats:
        """The distance (n, K) float32 of each sample to each mean."""
        return np.linalg.norm(self._points[indices, None] - self.means, axis=2).astype(np.float32)


class DrawnCenters:
    """A clustering that assigns each sample to the nearest of k samples, drawn with the seed. It records its
    arguments."""

    def __init__(self) -> None:
        self.num_samples: list[int] = []
        self.num_clusters: list[int] = []
        self.seeds: list[int] = []

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        self.num_samples.append(len(embeddings))
        self.num_clusters.append(num_clusters)
        self.seeds.append(seed)
        centers = embeddings[np.random.default_rng(seed).choice(len(embeddings), num_clusters, replace=False)]
        return np.linalg.norm(embeddings[:, None] - centers, axis=2).argmin(axis=1)


class Alternating(Oracle):
    """Refuses the first cluster, labels the second with its modal class, refuses the third, and so on."""

    def __init__(self, true_labels: Labels) -> None:
        super().__init__(true_labels, purity_threshold=1e-9)
        self._refused = False

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        answer = super().label_cluster(cluster, rng)
        self._refused = not self._refused
        return replace(answer, label=None, num_wrong=None) if self._refused else answer


class World:
    """A pool of points in three overlapping blobs, and the components of an experiment on it."""

    def __init__(
        self, num_samples: int = 60, *, expert: type[Oracle] | Expert = Oracle, clustering: Clustering | None = None
    ) -> None:
        rng = np.random.default_rng(num_samples)
        self.num_samples = num_samples
        self.true_labels = rng.permutation(np.arange(num_samples) % NUM_CLASSES)
        centers = np.array([[0, 0], [3, 0], [0, 3]])
        self.points = (centers[self.true_labels] + rng.normal(size=(num_samples, 2))).astype(np.float32)
        self.learner = NearestMeans(self.points, self.true_labels)
        self.clusters = DrawnCenters()
        self.components = Components(
            learner=self.learner,
            expert=expert(self.true_labels) if isinstance(expert, type) else expert,
            acquisition=acquisitions["entropy"],
            clustering=clustering or self.clusters,
        )

    def run(self, scenario: str | Scenario, *, state: LoopState | None = None, **options: Any) -> list[IterationResult]:
        return list(self.start(loop_settings(scenario, **options), state=state))

    def start(self, plan: LoopSettings, *, state: LoopState | None = None) -> Iterator[IterationResult]:
        by = plan.scenario.pseudo_labels
        given = None if by is None else partial(pseudo_labels[by.name], **PSEUDO_OPTIONS[by.name])
        components = replace(self.components, pseudo_labels=given)
        return active_learning(plan, components, num_samples=self.num_samples, state=state)


def loop_settings(scenario: str | Scenario, **options: Any) -> LoopSettings:
    """The settings of an experiment; by default T = 3 and N = 6."""
    scenario = EVERY_SCENARIO[scenario] if isinstance(scenario, str) else scenario
    defaults = {"iterations": 3, "interactions_per_iteration": 6, "seed": 0}
    return LoopSettings(scenario=scenario, **(defaults | options))


def facts(row: Interaction) -> tuple[object, ...]:
    """The values of a ledger row as a tuple that can be compared."""
    place = (row.iteration, row.step, row.interaction)
    answer = (row.kind, row.answer, row.label, row.purity, row.wrong, row.seconds)
    return *place, *answer, tuple(row.indices.tolist())


def outcome(result: IterationResult) -> tuple[object, ...]:
    """Everything in the result of an iteration except the wall-clock times."""
    ledger = tuple(facts(row) for row in result.ledger)
    pool = (result.pool.status.tolist(), result.pool.labels.tolist())
    figures = (result.human_seconds, result.evaluation, result.pseudo_label_error, result.kept_labels)
    return result.iteration, result.interactions, ledger, pool, figures


def outcomes(results: Sequence[IterationResult]) -> list[tuple[object, ...]]:
    return [outcome(result) for result in results]


def ledgers(results: Sequence[IterationResult]) -> list[tuple[object, ...]]:
    return [facts(row) for result in results for row in result.ledger]


def state_after(result: IterationResult) -> LoopState:
    return LoopState(
        iteration=result.iteration,
        interactions=result.interactions,
        human_seconds=result.human_seconds,
        pool=result.pool,
    )
