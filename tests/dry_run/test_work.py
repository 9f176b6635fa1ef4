"""Tests that the work that is counted before a sweep is an upper or lower bound for the work of the loop with real
components."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from raycal.algorithm.acquisition import HeadWeights, acquisitions
from raycal.algorithm.expert import Oracle
from raycal.algorithm.loop import Components, active_learning
from raycal.algorithm.pseudo_labels import pseudo_labels
from raycal.algorithm.records import Evaluation, Fitted, Floats, Indices, Predictions, TrainingSet
from raycal.algorithm.scenario import SCENARIOS
from raycal.config import ExperimentConfig
from raycal.config.loop_settings import loop_settings
from raycal.dry_run import work
from raycal.dry_run.work import Work, work_of
from raycal.experiment import build

POOL, CLASSES = 120, 3
LABELS = np.arange(POOL) % CLASSES
POINTS = (np.eye(CLASSES)[LABELS] + np.random.default_rng(0).normal(0, 0.4, (POOL, CLASSES))).astype(np.float32)
CLUSTERS_FIRST = {
    "name": "clusters-first",
    "steps": [
        {"ask": "clusters", "share": "1/2"},
        {"ask": "random", "share": "1/4"},
        {"ask": "clusters", "share": "1/4"},
    ],
}


class RecordingLearner:
    """Predicts how near each point is to the corner of each class, and records what it trains on and scores."""

    def __init__(self) -> None:
        self.scored = self.evaluations = 0
        self.trainings: list[int] = []

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        self.trainings.append(len(training_set.indices))
        return Fitted(steps=1)

    def predict(self, indices: Indices) -> Predictions:
        self.scored += len(indices)
        logits = np.exp(POINTS[indices])
        return Predictions(
            indices=indices, probs=logits / logits.sum(axis=1, keepdims=True), embeddings=POINTS[indices]
        )

    def head(self) -> HeadWeights:
        return HeadWeights(weights=np.eye(CLASSES, dtype=np.float32), bias=np.zeros(CLASSES, np.float32))

    def evaluate(self) -> Evaluation:
        self.evaluations += 1
        return Evaluation(accuracy=1.0, loss=0.0)

    def save(self) -> bytes:
        return b""

    def load(self, saved: bytes) -> None:
        pass


def nearest_of_drawn(embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
    """Assign each embedding to the nearest of `num_clusters` embeddings, which are drawn with the seed."""
    centers = embeddings[np.random.default_rng(seed).choice(len(embeddings), num_clusters, replace=False)]
    return np.linalg.norm(embeddings[:, None] - centers, axis=2).argmin(axis=1)


def config(scenario: Any, **settings: Any) -> ExperimentConfig:
    given = {"dataset": "digits", "scenario": scenario, "iterations": 4, "interactions_per_iteration": 12, **settings}
    return ExperimentConfig.model_validate(given, context=build.REGISTRIES)


def real_work(given: ExperimentConfig, purity_threshold: float) -> Work:
    """The work of the loop with the components of the configuration, and with an expert of this threshold."""
    learner, by = RecordingLearner(), given.resolved_scenario.pseudo_labels
    components = Components(
        learner=learner,
        expert=Oracle(LABELS, purity_threshold=purity_threshold),
        acquisition=partial(acquisitions[given.acquisition.name], **given.acquisition.options),
        clustering=nearest_of_drawn,
        pseudo_labels=None if by is None else partial(pseudo_labels[by.name], **by.options),
    )
    *_, last = active_learning(loop_settings(given), components, num_samples=POOL)
    return Work(
        interactions=last.interactions,
        scored=learner.scored,
        evaluations=learner.evaluations,
        trainings=learner.trainings,
    )


def counted(given: ExperimentConfig) -> tuple[Work, Work]:
    """The counted work if no cluster is accepted, and if all clusters are accepted."""
    members = given.acquisition.options.get("members", 1)
    fewest, most = (work_of(loop_settings(given), POOL, members=members, accepts=flag) for flag in (False, True))
    return fewest, most


@pytest.mark.parametrize("purity_threshold", [0.01, 0.7, 1.0])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"retrain_between": True},
        {"keep_cluster_labels": True},
        {"ask_with": "initial"},
        {"acquisition": {"name": "ensemble_variation_ratio", "members": 3}},
        {"clustering": {"num_clusters": 4}},
        {"clustering": {"num_clusters": 4, "on_refusal": "split"}},
        {"clustering": {"num_clusters": 30, "core": 0.5}},
    ],
    ids=str,
)
@pytest.mark.parametrize("scenario", [*SCENARIOS, CLUSTERS_FIRST], ids=[*SCENARIOS, CLUSTERS_FIRST["name"]])
def test_counted_work_bounds_that_of_the_loop(scenario: Any, settings: dict[str, Any], purity_threshold: float) -> None:
    given = config(scenario, **settings)
    fewest, most = counted(given)
    real = real_work(given, purity_threshold)

    assert sum(fewest.trainings) <= sum(real.trainings) <= sum(most.trainings)
    assert real.interactions <= max(fewest.interactions, most.interactions)
    assert real.evaluations <= most.evaluations
    # This scenario also makes a pass over the labeled images, which is not counted.
    if scenario != "label-propagation":
        # If accepted clusters leave fewer images than a later step could ask about, each image that this step does not
        # ask about is scored once more.
        unspent = max(fewest.interactions, most.interactions) - real.interactions
        times = real.evaluations * len(given.resolved_scenario.steps) * given.acquisition.options.get("members", 1)
        assert real.scored <= max(fewest.scored, most.scored) + unspent * times


@pytest.mark.parametrize("name", ["random", "uncertain-only", "supervised"])
def test_without_clusters_and_pseudo_labels_the_count_is_exact(name: str) -> None:
    given = config(name, acquisition={"name": "ensemble_variation_ratio", "members": 3})
    fewest, most = counted(given)
    real = real_work(given, 0.5)

    assert fewest == most == replace(real, trainings=tuple(real.trainings))


def test_experiments_that_do_the_same_work_are_counted_once() -> None:
    work._work.cache_clear()
    for seed in range(3):
        for settings in (
            {},
            {"expert": {"name": "oracle", "purity_threshold": 0.5}},
            {"training": {"epochs": 1, "cluster_weight": 0.5}},
            {"clustering": {"name": "spherical_kmeans", "order": "value"}},
        ):
            counted(config("cluster+uncertain", seed=seed, **settings))

    assert work._work.cache_info().misses == 2
