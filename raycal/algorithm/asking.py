"""The model that asks: what it says of the pool, each thing computed once and only when it is wanted."""

from collections.abc import Callable

import numpy as np

from raycal.algorithm.acquisition import AnnotatedSamples, View
from raycal.algorithm.learner import Learner
from raycal.algorithm.pool import Pool
from raycal.algorithm.records import Floats, Predictions, TrainingSet


class AskingModel:
    """The learner as it asks in one iteration, or between two trainings of it.

    Args:
        pool: As it is, now and after further answers.
        trained_on: What the learner was trained on; None: it is to be reset first, and asks untrained.
        stream: The random stream for a purpose in this iteration.
    """

    def __init__(
        self,
        learner: Learner,
        pool: Pool,
        trained_on: TrainingSet | None,
        stream: Callable[[str], np.random.Generator],
    ) -> None:
        self._learner, self._pool, self._trained_on, self._stream = learner, pool, trained_on, stream
        self._predictions: Predictions | None = None
        self._rest: Predictions | None = None
        self._other_members: list[Floats] = []

    def predictions(self) -> Predictions:
        """One pass over D^U when called first; later what is left of it."""
        return self._of_the_unlabeled().restrict(self._pool.unlabeled())

    def view(self, rng: np.random.Generator) -> View:
        """What an acquisition function may look at in a step with this random stream."""
        return View(
            predictions=self.predictions(),
            rng=rng,
            annotated=self._annotated,
            head=self._learner.head,
            members=self._members,
        )

    def _of_the_unlabeled(self) -> Predictions:
        """Of what was D^U when it was called first."""
        if self._predictions is None:
            if self._trained_on is None:
                self._learner.reset(self._stream("head"))
            self._predictions = self._learner.predict(self._pool.unlabeled())
        return self._predictions

    def _annotated(self) -> AnnotatedSamples:
        first, now = self._of_the_unlabeled(), self._pool.training_set()
        if self._rest is None:
            self._rest = self._learner.predict(np.setdiff1d(np.arange(len(self._pool)), first.indices))
        embeddings = np.empty((len(now.indices), first.embeddings.shape[1]), np.float32)
        for part in (first, self._rest):
            mine = np.isin(now.indices, part.indices)
            embeddings[mine] = part.restrict(now.indices[mine]).embeddings
        return AnnotatedSamples(embeddings=embeddings, labels=now.labels)

    def _members(self, count: int) -> Floats:
        first, now = self._of_the_unlabeled(), self._pool.unlabeled()
        if len(self._other_members) < count - 1:
            self._train_others(count - 1)
        rows = np.searchsorted(first.indices, now)
        return np.stack([probs[rows] for probs in (first.probs, *self._other_members[: count - 1])])

    def _train_others(self, count: int) -> None:
        """Keeps the probabilities of further members; the learner is the asking model again afterwards."""
        asking, indices = self._learner.save(), self._of_the_unlabeled().indices
        for number in range(len(self._other_members) + 1, count + 1):
            self._learner.reset(self._stream(f"head of member {number}"))
            if self._trained_on is not None and len(self._trained_on.indices):
                self._learner.fit(self._trained_on, self._stream(f"train member {number}"))
            self._other_members.append(self._learner.predict(indices).probs)
        self._learner.load(asking)
