"""Counts the work of an experiment, by running Algorithm 1 itself with a made-up model, expert and clustering."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from raycal.algorithm.acquisition import HeadWeights, QueryContext
from raycal.algorithm.cluster_queue import ClusterRules
from raycal.algorithm.expert import Cluster, ClusterAnswer, SampleAnswers
from raycal.algorithm.loop import Components, LoopSettings, active_learning
from raycal.algorithm.pseudo_labels import PseudoLabels
from raycal.algorithm.records import Evaluation, Fitted, Floats, Indices, Labels, Predictions, TrainingSet
from raycal.kmeans import ClusterIds


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of one experiment.

    Attributes:
        interactions: Number of human interactions.
        scored: Number of pool images that are scored. An image that is scored twice counts twice.
        evaluations: Number of passes over the test split.
        trainings: Number of samples of each training, including trainings between the steps and of ensemble members.
    """

    interactions: int
    scored: int
    evaluations: int
    trainings: Sequence[int]


def work_of(settings: LoopSettings, num_samples: int, *, members: int, accepts: bool) -> Work:
    """The work of an experiment in which the expert accepts every cluster, or accepts no cluster.

    An expert that accepts every cluster may leave nothing to ask about in the later steps or, if labels are kept, in
    the later iterations. An expert that accepts nearly all clusters causes more trainings, and the counted trainings
    should be an upper bound for any expert. Accepted clusters therefore leave as many samples as the later steps of the
    iteration ask about, and the labels of clusters are not kept. If clusters are accepted, every sample gets a
    pseudo-label; otherwise no sample gets one.

    Args:
        settings: The settings of the loop. Settings that cannot change the work are ignored, so that experiments that
            differ only in such settings are counted once.
        num_samples: Number of images of the pool.
        members: Number of members of the ensemble that selects queries; 1 if it is a single model.
    """
    scenario, rules = settings.scenario, settings.clusters
    only_counts = replace(
        settings,
        scenario=replace(scenario, name="", pseudo_labels=None),
        seed=0,
        clusters=ClusterRules(core=rules.core, on_refusal=rules.on_refusal),
        cluster_weight=1.0,
        keep_cluster_labels=settings.keep_cluster_labels and not accepts,
    )
    has_pseudo_labels = scenario.pseudo_labels is not None
    # Without clusters and pseudo-labels, the expert has nothing to accept.
    accepts = accepts and (has_pseudo_labels or scenario.forms_clusters)
    return _work(only_counts, num_samples, members, has_pseudo_labels, accepts)


@lru_cache(maxsize=1024)
def _work(settings: LoopSettings, num_samples: int, members: int, has_pseudo_labels: bool, accepts: bool) -> Work:
    def select(view: QueryContext, budget: int) -> Indices:
        if members > 1:
            view.members(members)
        return view.predictions.indices[:budget]

    def cluster(embeddings: Floats, num_clusters: int, seed: int) -> ClusterIds:
        # Accepting one large cluster gives the most labels, and accepting clusters of equal size gives the fewest.
        rows = np.arange(len(embeddings))
        return np.minimum(rows, num_clusters - 1) if accepts else rows % num_clusters

    def pseudo_label(view: QueryContext, iteration: int) -> PseudoLabels:
        indices = view.predictions.indices if accepts else np.array([], np.int64)
        return PseudoLabels(indices, np.zeros(len(indices), np.int64))

    learner = _Learner()
    components = Components(
        learner=learner,
        expert=_Expert(_asked_after_clusters(settings) if accepts else None),
        acquisition=select,
        clustering=cluster,
        pseudo_labels=pseudo_label if has_pseudo_labels else None,
    )
    interactions = 0
    for result in active_learning(settings, components, num_samples=num_samples):
        interactions = result.interactions
    return Work(
        interactions=interactions,
        scored=learner.scored,
        evaluations=learner.evaluations,
        trainings=tuple(learner.trainings),
    )


def _asked_after_clusters(settings: LoopSettings) -> int:
    """The number of interactions of an iteration that come after its first step with clusters."""
    steps = settings.scenario.steps_with(settings.interactions_per_iteration)
    first = next((number for number, (step, _) in enumerate(steps) if step.asks_clusters), len(steps))
    return sum(budget for _, budget in steps[first + 1 :])


class _Learner:
    """Counts the images that it is asked to train on and to score. All its predictions are zero."""

    def __init__(self) -> None:
        self.scored = self.evaluations = 0
        self.trainings: list[int] = []

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        self.trainings.append(len(training_set.indices))
        return Fitted(steps=0)

    def predict(self, indices: Indices) -> Predictions:
        self.scored += len(indices)
        zeros = np.zeros((len(indices), 1), np.float32)
        return Predictions(indices=indices, probs=zeros, embeddings=zeros)

    def head(self) -> HeadWeights:
        return HeadWeights(weights=np.zeros((1, 1), np.float32), bias=np.zeros(1, np.float32))

    def evaluate(self) -> Evaluation:
        self.evaluations += 1
        return Evaluation(accuracy=0.0, loss=0.0)

    def save(self) -> bytes:
        return b""

    def load(self, saved: bytes) -> None:
        pass


class _Expert:
    """Gives every sample the label 0, and refuses all clusters or accepts them.

    Args:
        leaves: The number of samples of an accepted cluster that stay unlabeled, provided that at least one sample is
            labeled. None means that the expert refuses all clusters.
    """

    def __init__(self, leaves: int | None) -> None:
        self._leaves = leaves

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        return SampleAnswers(labels=np.zeros(len(indices), np.int64), wrong=None, seconds=np.zeros(len(indices)))

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        if self._leaves is None:
            return ClusterAnswer(label=None, purity=None, num_wrong=None, seconds=0.0)
        part = cluster.indices[: max(1, len(cluster.indices) - self._leaves)]
        return ClusterAnswer(label=0, purity=None, num_wrong=None, seconds=0.0, part=part)

    def truth(self, indices: Indices) -> Labels | None:
        return None
