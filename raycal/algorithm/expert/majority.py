"""Several experts who vote on each answer."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.expert.answers import (
    ALL_ANSWERS,
    ORACLE,
    Cluster,
    ClusterAnswer,
    OtherExpert,
    SampleAnswers,
    cluster_answer,
    experts,
    make,
)
from raycal.algorithm.records import Indices, Labels


@experts("majority")
class Majority:
    """Majority voting, the usual aggregation of crowd answers (Sheng, Provost, Ipeirotis 2008), by independent experts.

    A sample gets the label that most experts gave. In a tie it gets the smallest class id, because a sample cannot be
    refused. A cluster gets the label that more than half of the experts gave, and is refused otherwise, because a wrong
    cluster label causes many errors at once. A vote counts as one interaction, and costs the seconds of all experts
    together.

    Args:
        true_labels: (P,) int64.
        experts: Number of experts.
        of: Description of each expert; all are of the same kind.
    """

    def __init__(
        self,
        true_labels: Labels,
        *,
        experts: Annotated[int, Ge(1), Le(1000), ALL_ANSWERS] = 3,
        of: OtherExpert = ORACLE,
    ) -> None:
        self._true_labels, self._num_experts, self._of = true_labels, experts, make(of, true_labels)

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The label that most experts give."""
        answers = [self._of.label_samples(indices, expert_rng) for expert_rng in rng.spawn(self._num_experts)]
        labels = np.array([np.bincount(votes).argmax() for votes in np.stack([each.labels for each in answers]).T])
        return SampleAnswers(
            labels=labels.astype(np.int64),
            wrong=labels != self._true_labels[indices],
            seconds=np.sum([each.seconds for each in answers], axis=0),
        )

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """The label that more than half of the experts give, or otherwise a refusal."""
        answers = [self._of.label_cluster(cluster, expert_rng) for expert_rng in rng.spawn(self._num_experts)]
        votes = [answer.label for answer in answers if answer.label is not None]
        counts = np.bincount(votes) if votes else np.zeros(1, np.int64)
        label = int(counts.argmax()) if 2 * counts.max() > self._num_experts else None
        seconds = sum(answer.seconds for answer in answers)
        return cluster_answer(label, self._true_labels[cluster.indices], seconds=float(seconds))

    def truth(self, indices: Indices) -> Labels | None:
        """The true labels."""
        return self._true_labels[indices]
