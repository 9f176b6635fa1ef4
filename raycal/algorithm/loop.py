"""Algorithm 1 as one generator.

Line 17 of the paper moves all of D^CL back to D^U after every iteration. With `keep_cluster_labels`, the samples of
D^CL keep their labels until the expert labels them one by one:

- The model is trained on them in every iteration, with the weight of their cluster.
- Steps that ask about single images choose among D^U and the samples with a kept label, so that an uncertain label can
  be checked. The expert's answer replaces the label of the cluster, and the sample stays in D^L from then on.
- Clusters are formed over D^U only, so a cluster step always asks about unlabeled samples. Pseudo-labels are given to
  D^U only, and still last for one training.
- No sample is asked about twice in one iteration: later steps of the iteration do not choose a sample that a cluster
  step has labeled.
- The pool is exhausted when no step of the scenario has any sample left to ask about.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Literal

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition import Acquisition
from raycal.algorithm.annotate import annotate_clusters, annotate_samples, ask_for_representative
from raycal.algorithm.cluster_queue import ClusterQueue, ClusterRules
from raycal.algorithm.clustering import Clustering
from raycal.algorithm.expert import Cluster, ClusterAnswer, Expert
from raycal.algorithm.learner import Learner
from raycal.algorithm.pool import ClusterWeight, Pool, as_arrays
from raycal.algorithm.pseudo_labels import PseudoLabeling
from raycal.algorithm.query_model import QueryModel
from raycal.algorithm.questions import Annotators, StepQuestions, cluster_questions, sample_questions
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import (
    Evaluation,
    Fitted,
    Floats,
    Indices,
    Interaction,
    IterationResult,
    KeptLabels,
    LoopState,
    PhaseSeconds,
    TrainingSet,
)
from raycal.algorithm.scenario import Ask, Scenario, Step

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """The settings of Algorithm 1.

    Attributes:
        iterations: T, the number of iterations.
        interactions_per_iteration: N, the budget of each iteration.
        num_clusters: Number of clusters of every clustering. None means the budget of the step.
        clusters: Rules for which part of a cluster is shown, and in which order the clusters are shown.
        ask_with: The query model of an iteration's first step: the model trained in the previous iteration (in
            iteration 0 the pretrained network) or, in every iteration, the network that was just reset.
        retrain_between: Whether to train between the steps of a scenario, so that the query model of each step knows
            the answers to the steps before it.
        cluster_weight: Weight in training of a sample of D^CL, where a sample of D^L has weight 1. With `purity`, the
            weight of a sample is the purity of its cluster. With `posterior`, it is the probability of its label by
            all answers up to this iteration, which only annotators know.
        keep_cluster_labels: Whether the samples of D^CL keep their labels after the iteration, as the docstring of this
            module describes. In the paper they go back to D^U.
    """

    scenario: Scenario
    iterations: int
    interactions_per_iteration: int
    seed: int
    num_clusters: int | None = None
    clusters: ClusterRules = field(default_factory=ClusterRules)
    ask_with: Literal["previous", "initial"] = "previous"
    retrain_between: bool = False
    cluster_weight: ClusterWeight = 1.0
    keep_cluster_labels: bool = False

    @property
    def total_iterations(self) -> int:
        """The number of iterations: T, or one if a single iteration annotates the whole pool."""
        return self.scenario.iterations(self.iterations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The components of an experiment.

    Attributes:
        pseudo_labels: Gives labels that no expert gave. None means that all labels come from the expert.
        annotators: People who answer the questions in place of the expert. None means that the expert answers.
    """

    learner: Learner
    expert: Expert
    acquisition: Acquisition
    clustering: Clustering
    pseudo_labels: PseudoLabeling | None = None
    annotators: Annotators | None = None


def active_learning(
    settings: LoopSettings, components: Components, *, num_samples: int, state: LoopState | None = None
) -> Iterator[IterationResult]:
    """Run Algorithm 1 over a pool of `num_samples` samples. Yield one result per iteration until the pool is exhausted.

    Args:
        state: The state from which a stopped experiment continues. The learner must have the weights with which the
            state's iteration ended.
    """
    pool = Pool.of(num_samples) if state is None else Pool(state.pool)  # This is line 1 of Algorithm 1.
    trained_on = None if state is None else pool.training_set(settings.cluster_weight)
    pool.release(keep_cluster_labels=settings.keep_cluster_labels)
    first = 0 if state is None else state.iteration + 1
    interactions = 0 if state is None else state.interactions
    human_seconds = 0.0 if state is None else state.human_seconds
    budget = num_samples if settings.scenario.whole_pool else settings.interactions_per_iteration

    for iteration in range(first, settings.total_iterations):  # This is line 2 of Algorithm 1.
        if not any(budget and len(_candidates(pool, step)) for step, budget in settings.scenario.steps_with(budget)):
            logger.info("pool exhausted after %d of %d iterations", iteration, settings.total_iterations)
            return
        if components.annotators is not None:
            pool.amend(*as_arrays(components.annotators.amendments(iteration)))
        run = IterationRun(settings, components, pool, iteration, trained_on)
        ledger = run.annotate(budget, spent=interactions)  # These are lines 4-14 of Algorithm 1.
        pseudo_label_error = run.pseudo_label()
        trained_on = run.train("train")  # These are lines 3 and 15 of Algorithm 1.
        evaluation = run.evaluate()  # This is line 16 of Algorithm 1.
        interactions += len(ledger)
        human_seconds += sum(row.seconds for row in ledger)
        yield IterationResult(
            iteration=iteration,
            interactions=interactions,
            human_seconds=human_seconds,
            ledger=ledger,
            pool=pool.snapshot(),
            evaluation=evaluation,
            seconds=PhaseSeconds(**run.seconds),
            pseudo_label_error=pseudo_label_error,
            kept_labels=_kept_labels(pool, components.expert) if settings.keep_cluster_labels else None,
            fitted=run.fitted,
        )
        pool.release(keep_cluster_labels=settings.keep_cluster_labels)  # This is line 17 of Algorithm 1.


def _candidates(pool: Pool, step: Step) -> Indices:
    """The indices of the samples that a step may ask about, ascending."""
    return pool.unlabeled() if step.asks_clusters else pool.askable()


def _kept_labels(pool: Pool, expert: Expert) -> KeptLabels:
    """The number of kept labels, and the share of them that are wrong."""
    indices, training_set = pool.kept(), pool.training_set()
    truth = expert.truth(indices)
    if truth is None or not len(indices):
        return KeptLabels(count=len(indices), error=None)
    labels = training_set.labels[np.searchsorted(training_set.indices, indices)]
    return KeptLabels(count=len(indices), error=float((labels != truth).mean()))


class IterationRun:
    """One iteration while it runs: it changes the pool and measures the time of each phase."""

    def __init__(
        self, settings: LoopSettings, components: Components, pool: Pool, iteration: int, trained_on: TrainingSet | None
    ) -> None:
        self._settings, self._components, self._pool, self._iteration = settings, components, pool, iteration
        self._query_model = self._new_query_model(None if settings.ask_with == "initial" else trained_on)
        self.seconds = dict.fromkeys(("predict", "cluster", "train", "evaluate"), 0.0)
        self.fitted: Fitted | None = None

    def annotate(self, budget: int, *, spent: int) -> tuple[Interaction, ...]:
        """Carry out the steps of the scenario, and apply the answers to the pool."""
        scenario, ledger = self._settings.scenario, list[Interaction]()
        for number, (step, step_budget) in enumerate(scenario.steps_with(budget)):
            if step_budget == 0 or not len(_candidates(self._pool, step)):
                continue
            if ledger and self._settings.retrain_between and step.asks_model:
                self.train(f"train between, before step {number}")
            for interaction in self._ask(number, step, step_budget, spent + len(ledger)):
                self._pool.apply(interaction)
                ledger.append(interaction)
        return tuple(ledger)

    def pseudo_label(self) -> float | None:
        """Pseudo-label samples of D^U, and return the share of wrong labels. The share is None if no sample was
        pseudo-labeled, or if the true labels are not known."""
        if self._components.pseudo_labels is None or self._pool.num_unlabeled == 0:
            return None
        with self._timed("predict"):
            view = self._query_model.view(self._pool.unlabeled(), self._stream("pseudo-labels"))
            indices, labels = self._components.pseudo_labels(view, self._iteration)
        self._pool.pseudo_label(indices, labels)
        truth = self._components.expert.truth(indices)
        return float((labels != truth).mean()) if truth is not None and len(indices) else None

    def train(self, purpose: str) -> TrainingSet:
        """Reset the model, train it on all labeled samples, and return these samples (Alg. 1, lines 3 and 15)."""
        annotators = self._components.annotators
        if self._settings.cluster_weight == "posterior" and annotators is not None:
            labels = self._pool.snapshot().labels.astype(np.int64)
            self._pool.weigh(annotators.label_probabilities(self._iteration, labels))
        training_set = self._pool.training_set(self._settings.cluster_weight)
        with self._timed("train"):
            self._components.learner.reset(self._stream("head"))
            self.fitted = self._components.learner.fit(training_set, self._stream(purpose))
        self._query_model = self._new_query_model(training_set)
        return training_set

    def evaluate(self) -> Evaluation:
        """Evaluate the model on the test split (Alg. 1, line 16)."""
        with self._timed("evaluate"):
            return self._components.learner.evaluate()

    def _ask(self, number: int, step: Step, budget: int, spent: int) -> Iterable[Interaction]:
        rng = self._stream(f"step {number}")
        if self._components.annotators is not None:
            if step.asks_model:
                self._query_model.fix_candidates()
            make = partial(self._questions, number, step.ask, budget, rng)
            return self._components.annotators.answers(self._iteration, number, make, spent=spent)
        draws = partial(self._stream, "expert")
        place = {"iteration": self._iteration, "step": number, "spent": spent}
        if step.asks_clusters:
            answer = partial(self._answer, step.ask, draws)
            return annotate_clusters(self._clusters(step.ask, budget, answer, rng), answer, budget, **place)
        return annotate_samples(self._samples(step.ask, budget, rng), self._components.expert, draws, **place)

    def _answer(self, ask: Ask, draws: Callable[[], np.random.Generator], cluster: Cluster) -> ClusterAnswer:
        if ask is Ask.REPRESENTATIVES:
            return ask_for_representative(cluster, self._components.expert, draws())
        return self._components.expert.label_cluster(cluster, draws())

    def _questions(self, number: int, ask: Ask, budget: int, rng: np.random.Generator) -> StepQuestions:
        """The questions of a step that people answer."""
        place = {"iteration": self._iteration, "step": number}
        if ask is Ask.CLUSTERS:
            answer = partial(self._answer, ask, partial(self._stream, "expert"))
            questions = cluster_questions(self._clusters(ask, budget, answer, rng), budget, **place)
            questions = replace(questions, labeled=self._query_model.labeled)
        else:
            questions = sample_questions(self._samples(ask, budget, rng), **place)
        if ask is Ask.RANDOM or not self._query_model.is_trained or not questions.first:
            return questions
        indices = np.unique(np.concatenate([question.by_distance for question in questions.first]))
        return questions.with_guesses(self._query_model.predictions(indices))

    def _samples(self, ask: Ask, budget: int, rng: np.random.Generator) -> Indices:
        candidates = self._pool.askable()
        if ask is Ask.RANDOM:
            return rng.choice(candidates, size=min(budget, len(candidates)), replace=False, shuffle=False)
        with self._timed("predict"):
            return self._components.acquisition(self._query_model.view(candidates, rng), budget)

    def _clusters(
        self, ask: Ask, budget: int, answer: Callable[[Cluster], ClusterAnswer], rng: np.random.Generator
    ) -> ClusterQueue:
        with self._timed("predict"):
            predictions = self._query_model.predictions(self._pool.unlabeled())
        rules = self._settings.clusters
        if ask is Ask.REPRESENTATIVES:  # No answer is a refusal: the expert cannot refuse a representative.
            rules = replace(rules, purity_threshold=0.0)
        return ClusterQueue(
            predictions,
            min(self._settings.num_clusters or budget, len(predictions.indices)),
            rules,
            clustering=self._cluster,
            answer=answer,
            rng=rng,
        )

    def _cluster(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        with self._timed("cluster"):
            return self._components.clustering(embeddings, num_clusters, seed)

    def _new_query_model(self, trained_on: TrainingSet | None) -> QueryModel:
        return QueryModel(self._components.learner, self._pool, trained_on, self._stream)

    def _stream(self, purpose: str) -> np.random.Generator:
        return stream(self._settings.seed, self._iteration, purpose)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        begin = perf_counter()
        yield
        self.seconds[phase] += perf_counter() - begin
