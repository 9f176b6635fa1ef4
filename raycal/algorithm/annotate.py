"""Spend a step's budget on the expert: Alg. 1, ANNOTATEUNCERTAIN and ANNOTATECLUSTERS."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import numpy.typing as npt

from raycal.algorithm.expert import Cluster, Expert
from raycal.algorithm.records import Answer, Indices, Interaction, Kind


def annotate_samples(
    indices: Indices, expert: Expert, draws: Callable[[], np.random.Generator], *, iteration: int, step: int, spent: int
) -> Iterator[Interaction]:
    """Alg. 1, line 18: the expert labels each sample, in the order given.

    Args:
        indices: (n,) in D^U, the one to ask for first in front.
        draws: The expert's random stream in this iteration, from its beginning.
        spent: Interactions of the experiment so far.
    """
    answers = expert.label_samples(indices, draws())
    for row, index in enumerate(indices):
        yield Interaction(
            iteration=iteration,
            step=step,
            interaction=spent + 1 + row,
            kind=Kind.SAMPLE,
            answer=Answer.LABELLED,
            label=int(answers.labels[row]),
            purity=None,
            wrong=None if answers.wrong is None else int(answers.wrong[row]),
            seconds=float(answers.seconds[row]),
            indices=np.array([index], np.int64),
        )


def annotate_clusters(
    clusters: list[Cluster],
    expert: Expert,
    draws: Callable[[], np.random.Generator],
    *,
    iteration: int,
    step: int,
    spent: int,
) -> Iterator[Interaction]:
    """Alg. 1, line 23: the expert labels or refuses each cluster, in the order given; both cost one interaction."""
    for number, cluster in zip(count(spent + 1), clusters, strict=False):
        answer = expert.label_cluster(cluster, draws())
        yield Interaction(
            iteration=iteration,
            step=step,
            interaction=number,
            kind=Kind.CLUSTER,
            answer=Answer.REFUSED if answer.label is None else Answer.LABELLED,
            label=answer.label,
            purity=answer.purity,
            wrong=answer.wrong,
            seconds=answer.seconds,
            indices=cluster.indices,
        )


def clusters_to_show(indices: Indices, cluster_ids: npt.NDArray[np.int64], budget: int) -> list[Indices]:
    """The members of the `budget` largest clusters, largest first; equal sizes by their smallest index.

    Empty clusters are not shown.

    Args:
        indices: (U,) ascending.
        cluster_ids: (U,) of the same samples.
    """
    order = np.argsort(cluster_ids, kind="stable")
    _, begins = np.unique(cluster_ids[order], return_index=True)
    members = np.split(indices[order], begins[1:])
    return sorted(members, key=lambda cluster: (-len(cluster), cluster[0]))[:budget]
