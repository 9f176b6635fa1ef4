"""The query model, whose predictions decide what the expert is asked. Each result is computed when it is first needed,
and only once."""

from collections.abc import Callable
from functools import partial

import numpy as np

from raycal.algorithm.acquisition import AnnotatedSamples, QueryContext
from raycal.algorithm.learner import Learner
from raycal.algorithm.pool import Pool
from raycal.algorithm.questions import LabeledSamples
from raycal.algorithm.records import Floats, Indices, Predictions, TrainingSet


class QueryModel:
    """The learner in its role as the query model, in one iteration or between two trainings of the iteration.

    Args:
        pool: The live pool, which later answers change.
        trained_on: The training set of the learner. None means that the learner is reset and queried untrained.
        stream: Makes the random stream for a purpose in this iteration.
    """

    def __init__(
        self,
        learner: Learner,
        pool: Pool,
        trained_on: TrainingSet | None,
        stream: Callable[[str], np.random.Generator],
    ) -> None:
        self._learner, self._pool, self._trained_on, self._stream = learner, pool, trained_on, stream
        self._candidates: Indices | None = None
        self._predictions: Predictions | None = None
        self._rest: Predictions | None = None
        self._other_members: list[Floats] = []

    @property
    def is_trained(self) -> bool:
        """Whether the learner was trained with the labels of at least one sample."""
        return self._trained_on is not None and len(self._trained_on.indices) > 0

    def fix_candidates(self) -> Indices:
        """Fix which samples the first call of `predictions` predicts: the samples that may be asked about now.

        Only the first call of this method has this effect. Every call returns the samples that the first call has
        fixed.

        The last bits of a prediction depend on the batch that a sample is in. Because of this call, these bits do not
        depend on whether an experiment was interrupted after this moment.
        """
        if self._candidates is None:
            self._candidates = self._pool.askable()
        return self._candidates

    def predictions(self, candidates: Indices) -> Predictions:
        """The predictions for the candidates.

        The first call predicts all samples that may be asked about at that time, or that could be asked about when
        `fix_candidates` was called; later calls use the stored result.

        Args:
            candidates: The samples that may be chosen now, ascending, a subset of `Pool.askable`.
        """
        return self._of_the_askable().restrict(candidates)

    def view(self, candidates: Indices, rng: np.random.Generator) -> QueryContext:
        """The input of an acquisition function in a step with the given candidates and random stream."""
        return QueryContext(
            predictions=self.predictions(candidates),
            rng=rng,
            annotated=partial(self._annotated, candidates),
            head=self._learner.head,
            members=partial(self._members, candidates),
        )

    def labeled(self) -> LabeledSamples:
        """The samples of D^L, with the features by which the query model clusters D^U."""
        indices, training_set = self._pool.labeled(), self._pool.training_set()
        first = self._of_the_askable()
        features = np.empty((len(indices), first.features.shape[1]), np.float32)
        for part in (first, self._of_the_others()):
            mine = np.isin(indices, part.indices)
            features[mine] = part.restrict(indices[mine]).features
        labels = training_set.labels[np.searchsorted(training_set.indices, indices)]
        return LabeledSamples(indices=indices, labels=labels, features=features)

    def _of_the_askable(self) -> Predictions:
        """The predictions for the samples that could be asked about when `predictions` was called first."""
        if self._predictions is None:
            if self._trained_on is None:
                self._learner.reset(self._stream("head"))
            self._predictions = self._learner.predict(self.fix_candidates())
        return self._predictions

    def _of_the_others(self) -> Predictions:
        """The predictions for all samples that `_of_the_askable` leaves out."""
        if self._rest is None:
            first = self._of_the_askable()
            self._rest = self._learner.predict(np.setdiff1d(np.arange(len(self._pool)), first.indices))
        return self._rest

    def _annotated(self, candidates: Indices) -> AnnotatedSamples:
        first, now = self._of_the_askable(), self._pool.training_set()
        others = np.isin(now.indices, candidates, invert=True, assume_unique=True)
        indices, labels = now.indices[others], now.labels[others]
        rest = self._of_the_others()
        embeddings = np.empty((len(indices), first.embeddings.shape[1]), np.float32)
        separate = None if first.separate is None else np.empty((len(indices), first.separate.shape[1]), np.float32)
        for part in (first, rest):
            mine = np.isin(indices, part.indices)
            own = part.restrict(indices[mine])
            embeddings[mine] = own.embeddings
            if separate is not None:
                separate[mine] = own.separate
        return AnnotatedSamples(embeddings=embeddings, labels=labels, separate=separate)

    def _members(self, candidates: Indices, count: int) -> Floats:
        first = self._of_the_askable()
        if len(self._other_members) < count - 1:
            self._train_others(count - 1)
        rows = np.searchsorted(first.indices, candidates)
        return np.stack([probs[rows] for probs in (first.probs, *self._other_members[: count - 1])])

    def _train_others(self, count: int) -> None:
        """Train further ensemble members, store their probabilities, and restore the query model in the learner."""
        asking, indices = self._learner.save(), self._of_the_askable().indices
        for number in range(len(self._other_members) + 1, count + 1):
            self._learner.reset(self._stream(f"head of member {number}"))
            if self._trained_on is not None and len(self._trained_on.indices):
                self._learner.fit(self._trained_on, self._stream(f"train member {number}"))
            self._other_members.append(self._learner.predict(indices).probs)
        self._learner.load(asking)
