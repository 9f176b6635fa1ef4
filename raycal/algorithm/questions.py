"""The questions of one annotation step as data, for people who answer them in any order, side by side, over hours.

A simulated expert answers a question as soon as it is made (`raycal.algorithm.annotate`). People take longer, so this
module makes all questions of a step first. Nothing in this module waits, reads or writes: each method is a function of
the questions and the replies so far.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from raycal.algorithm.centroid import order_from_centroid
from raycal.algorithm.cluster_queue import ClusterQueue
from raycal.algorithm.expert import Cluster
from raycal.algorithm.records import Answer, Floats, Indices, Interaction, Kind, Labels, Predictions


class Probe(NamedTuple):
    """A sample with a known label that is hidden among the samples of a cluster.

    Attributes:
        sample: The sample, which does not belong to the cluster.
        label: The class that people gave to the sample alone.
    """

    sample: int
    label: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabeledSamples:
    """The samples of D^L.

    Attributes:
        indices: (M,) int64, ascending.
        labels: (M,) int64, the labels that were given.
        features: (M, D) float32, comparable with the embeddings of a question.
    """

    indices: Indices
    labels: Labels
    features: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A question about one sample of the pool, or about one cluster.

    Attributes:
        id: `<iteration>.<step>.<number>`, such as `3.1.17`. If the cluster of this question is split, its halves are
            `3.1.17.0` and `3.1.17.1`.
        by_distance: (n,) int64, the samples, beginning with the one nearest to the centroid of the cluster.
        embeddings: Returns the embeddings (n, D) of the samples, in the order of `by_distance`. None for a single
            sample, and for a question that was read from a file.
        guess: The class that the query model finds most likely for the sample or, for a cluster, on average over its
            samples. None if the model was not trained, or was not asked. A half of a split cluster has no guess.
        probes: Samples that are shown with the cluster without belonging to it, to measure how many odd ones a person
            misses. They are not in `by_distance`, so no reply gives them a label.
    """

    id: str
    by_distance: Indices
    embeddings: Callable[[], Floats] | None = None
    guess: int | None = None
    probes: tuple[Probe, ...] = ()

    @property
    def indices(self) -> Indices:
        """(n,) int64, the samples in ascending order."""
        return np.sort(self.by_distance)

    @property
    def rank(self) -> tuple[int, ...]:
        """The place of the question among the questions of its step: the halves of a cluster follow the cluster."""
        return tuple(map(int, self.id.split(".")[2:]))

    def halves(self, parts: Sequence[Indices]) -> tuple["Question", ...]:
        """The questions about the parts of this cluster, where each part is given by its samples, the one nearest to
        the centroid first."""
        return tuple(Question(id=f"{self.id}.{number}", by_distance=part) for number, part in enumerate(parts))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reply:
    """A person's reply to a question.

    Attributes:
        label: The class. None means that the person refused the cluster or cannot tell the class.
        part: The samples to which the label applies, ascending. None means all samples of the question.
        halves: The questions about the parts of the cluster, which are asked next if the person refused the cluster and
            asked to split it.
        seconds: The seconds that the person spent on the reply.
    """

    label: int | None
    part: Indices | None = None
    halves: tuple[Question, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepQuestions:
    """The questions of one annotation step.

    Attributes:
        iteration: Number of the iteration, from 0.
        step: Number of the step in the scenario, from 0.
        kind: Whether the step asks about samples or clusters.
        budget: The largest number of questions that may be answered.
        first: The questions in the order in which a simulated expert would be asked, at most `budget` of them. A person
            who splits a cluster adds questions.
        labeled: Computes the samples of D^L with the query model that made the clusters. None for a step about single
            samples, and for a step that was read from a file.
    """

    iteration: int
    step: int
    kind: Kind
    budget: int
    first: tuple[Question, ...]
    labeled: Callable[[], LabeledSamples] | None = None

    def with_guesses(self, predictions: Predictions) -> "StepQuestions":
        """The same questions, with the guesses of a model.

        Args:
            predictions: The predictions of the model for at least the samples of the questions.
        """

        def guess(question: Question) -> int:
            expected = predictions.restrict(question.indices).probs.sum(axis=0, dtype=np.float64)
            return int(expected.argmax())

        return replace(self, first=tuple(replace(one, guess=guess(one)) for one in self.first))

    def known(self, replies: Mapping[str, Reply]) -> Iterator[Question]:
        """The questions of `first`, by rank. If the reply to a question splits its cluster, the questions about the
        halves follow it.
        """
        waiting = list(reversed(self.first))
        while waiting:
            question = waiting.pop()
            yield question
            reply = replies.get(question.id)
            waiting += reversed(reply.halves if reply is not None else ())

    def asked(self, replies: Mapping[str, Reply]) -> tuple[Question, ...]:
        """The questions that count, by rank: all answered questions, and all open ones."""
        is_open = {question.id for question in self.open_questions(replies)}
        return tuple(one for one in self.known(replies) if one.id in replies or one.id in is_open)

    def open_questions(self, replies: Mapping[str, Reply]) -> tuple[Question, ...]:
        """The questions to ask now, in the order in which to ask them, as many as the budget still allows.

        The halves of split clusters come first, because the person still has the cluster in mind.
        """
        known = list(self.known(replies))
        left = max(0, self.budget - sum(one.id in replies for one in known))
        waiting = [one for one in known if one.id not in replies]
        return tuple(sorted(waiting, key=lambda one: len(one.rank) == 1)[:left])

    def answered(self, replies: Mapping[str, Reply]) -> list[Question]:
        """The questions that have a reply, by rank: the ledger has a row for each of these questions, in the same
        order."""
        return [question for question in self.known(replies) if question.id in replies]

    def rows(self, replies: Mapping[str, Reply], *, spent: int) -> tuple[Interaction, ...]:
        """One ledger row for each answered question. They are numbered by rank, so the order of arrival has no effect.

        Args:
            replies: The replies by the ids of their questions.
            spent: Number of interactions that the experiment has spent before this step.
        """
        return tuple(
            self._row(question, replies[question.id], spent + number)
            for number, question in enumerate(self.answered(replies), 1)
        )

    def _row(self, question: Question, reply: Reply, number: int) -> Interaction:
        is_labeled = reply.label is not None
        return Interaction(
            iteration=self.iteration,
            step=self.step,
            interaction=number,
            kind=self.kind,
            answer=Answer.LABELED if is_labeled else Answer.REFUSED,
            label=reply.label,
            purity=None,
            wrong=None,
            seconds=reply.seconds,
            indices=question.indices if reply.part is None or not is_labeled else reply.part,
        )


class Annotators(Protocol):
    """People who answer the questions of a step."""

    def answers(
        self, iteration: int, step: int, make: Callable[[], StepQuestions], *, spent: int
    ) -> tuple[Interaction, ...]:
        """The rows of a step that people have answered.

        Args:
            iteration: Number of the iteration, from 0.
            step: Number of the step in the scenario, from 0.
            make: Makes the questions. It is called only if the step has no questions yet, so that people see the same
                questions after a restart, on any hardware.
            spent: Number of interactions that the experiment has spent before this step.

        Raises:
            StoppedError: The step is not answered yet. The experiment continues in another process, later.
        """

    def amendments(self, iteration: int) -> Mapping[int, int]:
        """The labels of samples of D^L that people have amended and that hold from an iteration on, by the sample.

        The result is the same whenever the method is called for the iteration.
        """

    def label_probabilities(self, iteration: int, labels: Labels) -> Floats:
        """How probable the labels of the pool are by all answers up to the end of an iteration.

        Args:
            iteration: Number of the iteration.
            labels: (P,) int64, the labels; -1 for a sample without a label.

        Returns:
            (P,) float32 above 0; 1 for a sample without a label.
        """


def sample_questions(indices: Indices, *, iteration: int, step: int) -> StepQuestions:
    """The questions about samples (n,), in the order in which they are to be asked (Alg. 1, line 18)."""
    return StepQuestions(
        iteration=iteration,
        step=step,
        kind=Kind.SAMPLE,
        budget=len(indices),
        first=tuple(
            Question(id=f"{iteration}.{step}.{number}", by_distance=indices[number : number + 1])
            for number in range(len(indices))
        ),
    )


def cluster_questions(clusters: ClusterQueue, budget: int, *, iteration: int, step: int) -> StepQuestions:
    """The questions about up to `budget` clusters, in the order of the queue (Alg. 1, line 23)."""
    first = list[Question]()
    while len(first) < budget and (cluster := clusters.pop()) is not None:
        first.append(_cluster_question(cluster, f"{iteration}.{step}.{len(first)}"))
    return StepQuestions(iteration=iteration, step=step, kind=Kind.CLUSTER, budget=budget, first=tuple(first))


def _cluster_question(cluster: Cluster, name: str) -> Question:
    order = order_from_centroid(cluster.embeddings())
    return Question(id=name, by_distance=cluster.indices[order], embeddings=lambda: cluster.embeddings()[order])
