"""Spends the budget of a step on questions to the expert (ANNOTATEUNCERTAIN and ANNOTATECLUSTERS in Alg. 1)."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from raycal.algorithm.centroid import from_centroid, least
from raycal.algorithm.expert import Cluster, ClusterAnswer, Expert, cluster_answer
from raycal.algorithm.records import Answer, Indices, Interaction, Kind


def annotate_samples(
    indices: Indices, expert: Expert, draws: Callable[[], np.random.Generator], *, iteration: int, step: int, spent: int
) -> Iterator[Interaction]:
    """Ask the expert to label each sample, in the order given (Alg. 1, line 18).

    Args:
        indices: (n,) The samples to ask about, in the order in which they are asked about.
        draws: Makes the expert's random stream of this iteration, which starts from the beginning at every call.
        spent: Number of interactions that the experiment has spent so far.
    """
    answers = expert.label_samples(indices, draws())
    labels, seconds = np.asarray(answers.labels).tolist(), np.asarray(answers.seconds).tolist()
    wrong = None if answers.wrong is None else np.asarray(answers.wrong).tolist()
    asked = indices.astype(np.int64)
    for row in range(len(asked)):
        yield Interaction(
            iteration=iteration,
            step=step,
            interaction=spent + 1 + row,
            kind=Kind.SAMPLE,
            answer=Answer.LABELED,
            label=int(labels[row]),
            purity=None,
            wrong=None if wrong is None else int(wrong[row]),
            seconds=float(seconds[row]),
            indices=asked[row : row + 1],
        )


class Clusters(Protocol):
    """The clusters of a step: `pop` returns the next cluster to show, `refuse` reports that the cluster returned last
    was refused."""

    def pop(self) -> Cluster | None: ...

    def refuse(self, cluster: Cluster) -> None: ...


def annotate_clusters(
    clusters: Clusters,
    ask: Callable[[Cluster], ClusterAnswer],
    budget: int,
    *,
    iteration: int,
    step: int,
    spent: int,
) -> Iterator[Interaction]:
    """Ask the expert to label or refuse up to `budget` clusters (Alg. 1, line 23). Each cluster costs one interaction,
    whether it is labeled or refused."""
    for number in range(spent + 1, spent + 1 + budget):
        cluster = clusters.pop()
        if cluster is None:
            return
        answer = ask(cluster)
        yield Interaction(
            iteration=iteration,
            step=step,
            interaction=number,
            kind=Kind.CLUSTER,
            answer=Answer.REFUSED if answer.label is None else Answer.LABELED,
            label=answer.label,
            purity=answer.purity,
            wrong=answer.num_wrong,
            seconds=answer.seconds,
            indices=answer.labeled(cluster),
        )
        if answer.label is None:
            clusters.refuse(cluster)


def ask_for_representative(cluster: Cluster, expert: Expert, rng: np.random.Generator) -> ClusterAnswer:
    """Ask the expert to label the medoid of a cluster, the sample nearest to its centroid; the cluster gets that label.

    This is the strategy of Berardo, Favero, Neto 2015 (Active Learning with Clustering and Unsupervised Feature
    Learning). An answer costs as much as the answer to a single image. The expert cannot refuse, because it does not
    see the other images.
    """
    medoid = cluster.indices[least(from_centroid(cluster.embeddings()), 1)]
    answers, truth = expert.label_samples(medoid, rng), expert.truth(cluster.indices)
    label, seconds = int(answers.labels[0]), float(answers.seconds[0])
    if truth is None:
        return ClusterAnswer(label=label, purity=None, num_wrong=None, seconds=seconds)
    return cluster_answer(label, truth, seconds=seconds)
