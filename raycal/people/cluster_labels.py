"""Which samples have the label of a cluster now, and how large that cluster was.

A label that a cluster gave is cheap, and nobody may have looked at the sample itself. So these are the labels whose
error an audit measures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Indices, Kind, Labels

# Clusters of up to these sizes form one stratum each, and larger clusters form the last one.
STRATUM_SIZES = (10, 30, 100, 300)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterLabels:
    """The samples of the pool whose newest label was given to a cluster.

    Attributes:
        index: (n,) int64, the samples, ascending.
        label: (n,) int64, the label.
        size: (n,) int64, the number of samples that got this label by the same answer.
        question: (n,) int64, the place of the question in `questions`.
        questions: The questions that gave the labels.
    """

    index: Indices
    label: Labels
    size: Indices
    question: Indices
    questions: Sequence[Question]

    @property
    def stratum(self) -> Indices:
        """(n,) int64, the stratum of each sample; see `strata_of`."""
        return strata_of(self.size)


def strata_of(sizes: Indices) -> Indices:
    """The stratum of clusters of these sizes: 0 for the smallest clusters, and so on."""
    strata: Indices = np.searchsorted(STRATUM_SIZES, sizes).astype(np.int64)
    return strata


def newest_cluster_labels(
    replies: Iterable[tuple[StepQuestions, Iterable[tuple[Question, Reply]]]], num_pool: int
) -> ClusterLabels:
    """The samples that have the label of a cluster after some replies.

    Args:
        replies: Each step with its questions and the replies to them, from the oldest step to the newest one.
        num_pool: The number of samples of the pool.
    """
    source, label = np.full(num_pool, -1, np.int64), np.full(num_pool, -1, np.int64)
    questions, sizes = list[Question](), list[int]()
    for step, answered in replies:
        for question, reply in answered:
            if reply.label is None:
                continue
            indices = question.by_distance if reply.part is None else reply.part
            label[indices] = reply.label
            source[indices] = len(questions) if step.kind is Kind.CLUSTER else -1
            questions.append(question)
            sizes.append(len(indices))
    index = np.flatnonzero(source >= 0)
    number = source[index]
    return ClusterLabels(index, label[index], np.array(sizes, np.int64)[number], number, questions)
