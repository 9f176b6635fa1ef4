"""Runs one experiment to its end, from its first iteration or from where it stopped, in the same way on a laptop and
under Ray."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from raycal.algorithm.clustering import Clustering
from raycal.algorithm.loop import active_learning
from raycal.algorithm.out_of_fold import NUM_FOLDS, predict_out_of_fold
from raycal.algorithm.pool import Pool
from raycal.algorithm.questions import Annotators
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Indices, Interaction, IterationResult, TrainingSet
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.loop_settings import loop_settings
from raycal.data import Dataset, LoadedDataset, TextDataset
from raycal.data.manifest import Manifest, manifest_of
from raycal.errors import DivergedError, InfrastructureError, InputError, RaycalError, StoppedError
from raycal.experiment import build, montage, text_clusters
from raycal.experiment.provenance import environment
from raycal.kmeans.backends import noted
from raycal.networks import networks
from raycal.plugins import loaded_plugins
from raycal.storage.inputs import ExpectedInputs
from raycal.storage.out_of_fold import OutOfFold
from raycal.storage.predictions import HoldoutPredictions
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import POOL_EXHAUSTED, MontageForm
from raycal.storage.run_writer import RunWriter

if TYPE_CHECKING:
    from raycal.learner.learner import NetworkLearner
    from raycal.learner.team import Team

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Called after every saved iteration; `line` is the iteration's line of results.jsonl."""

    def __call__(self, line: IterationRecord, result: IterationResult) -> None: ...


class People(Annotators, Protocol):
    """People who answer the questions of an experiment. They may also give the labels of the hold-out.

    Attributes:
        doubts_labels: Whether models that have not seen the labels of single images shall predict them.
    """

    doubts_labels: bool

    def load(self, dataset: Dataset) -> LoadedDataset:
        """The samples of the dataset. If the dataset has no labels, the result has the classes that people named and
        the labels that people gave to the hold-out.
        """

    def predictions(self, classify: Callable[[Indices], Indices]) -> HoldoutPredictions:
        """What the model predicts for all samples of the hold-out, including those without a label.

        Args:
            classify: Returns the class that the model predicts for each of some rows of the dataset.
        """

    def reason_to_end(self, iterations: int) -> str | None:
        """Why the experiment ends after its first `iterations` iterations, although people could go on. None if it goes
        on."""


def run_experiment(
    config: ExperimentConfig,
    run_dir: RunWriter,
    worker: WorkerSettings,
    *,
    observers: tuple[Observer, ...] = (),
    clustering: Clustering | None = None,
    on_start: Callable[[], object] = lambda: None,
    team: "Team | None" = None,
    expected: ExpectedInputs | None = None,
    load_plugins: Callable[[], object] = lambda: None,
    people: People | None = None,
) -> bool:
    """Run an experiment, and return whether it reached its end.

    A failure is written to `error.txt` and ends only this experiment. However the experiment ends, the other workers of
    the trial, which follow this one, are dismissed.

    Args:
        observers: Called after every saved iteration.
        clustering: A clustering that runs elsewhere. None means that clustering runs in this process.
        on_start: Called when data and model are loaded and Algorithm 1 begins.
        team: The workers of the trial, of which this is the first. None means that this is the only worker.
        expected: The data and weights that the experiment must read; the experiment fails if it reads other data or
            weights. None means that any data and weights are accepted.
        load_plugins: Imports the plug-ins that the experiment may use; does nothing if this process has imported them
            already.
        people: The people who answer the questions. None means that the expert of the configuration answers.

    Raises:
        InfrastructureError: The infrastructure under the experiment failed; another call continues the experiment.
        StoppedError: An observer ended the experiment, or people have not answered its questions yet.
    """
    phase = _Phase()
    try:
        _run(config, run_dir, worker, observers, clustering, on_start, team, expected, load_plugins, people, phase)
    except (InfrastructureError, StoppedError):
        raise
    except Exception as error:  # the only place where a failed experiment is recorded
        # A failure that the user can fix is recorded in one line, and any other with its whole traceback.
        message = str(error) if isinstance(error, RaycalError | OSError) else traceback.format_exc()
        run_dir.fail(f"{phase.name}: {type(error).__name__}: {message}\n")
        logger.info("%s failed (%s): %s", config.experiment_id, phase.name, error)
        return False
    finally:
        if team is not None:
            team.dismiss()
    return True


def follow_experiment(
    config: ExperimentConfig,
    worker: WorkerSettings,
    team: "Team",
    *,
    expected: ExpectedInputs | None = None,
    load_plugins: Callable[[], object] = lambda: None,
) -> None:
    """Do the work of another worker of a trial while the first worker runs the experiment, until that worker dismisses
    it.

    An error that is not the experiment's own is raised; then all workers of the trial must start again.
    """
    try:
        learner, _, _ = _load(config, worker, team, expected, load_plugins, _Phase())
    except Exception:
        if team.listen() is None:  # the first worker has the same problem, and has recorded it
            return
        raise
    team.serve_as_worker(learner)


class _Phase:
    """The current phase of an experiment, for the record of a failure."""

    name = "starting"


def _run(
    config: ExperimentConfig,
    run_dir: RunWriter,
    worker: WorkerSettings,
    observers: tuple[Observer, ...],
    clustering: Clustering | None,
    on_start: Callable[[], object],
    team: "Team | None",
    expected: ExpectedInputs | None,
    load_plugins: Callable[[], object],
    people: People | None,
    phase: _Phase,
) -> None:
    saved = run_dir.begin(config)
    if run_dir.state().is_complete:
        return
    learner, loaded, manifest = _load(config, worker, team, expected, load_plugins, phase, people)
    state = None
    if saved is not None:
        phase.name = "loading the state"
        try:
            state = saved.loop(loaded.num_train, may_have_grown=people is not None)
        except ValueError as error:
            problem = "of another dataset, or not saved by raycal; move the folder away to start again"
            raise InputError(f"{run_dir.folder.place}/state: {problem}") from error
        learner.load(saved.model)
    ran_on = environment(
        loaded,
        manifest,
        learner.device_settings.describe(),
        learner.team.size,
        weights=learner.weights_digest,
        features=None if learner.features is None else learner.features.weights_digest,
        libraries=[networks.facts(network.name).version for network in config.networks],
        plugins={name: plugin.record() for name, plugin in loaded_plugins().items() if name in config.plugins},
    )
    run_dir.write_environment(ran_on)
    components = build.components(config, loaded, learner, clustering, people)
    settings = loop_settings(config)
    done = 0 if state is None else state.iteration + 1
    montages = _Montages(run_dir, loaded)
    for iteration in range(done):
        montages.fix(iteration)
    phase.name = f"iteration {done}"
    on_start()
    if people is not None and done and (reason := people.reason_to_end(done)) is not None:
        run_dir.finish(reason)  # the process was interrupted before it could do so
        return
    with noted() as backends:
        for result in active_learning(settings, components, num_samples=loaded.num_train, state=state):
            phase.name = f"saving iteration {result.iteration}"
            clustering_backends = ", ".join(sorted(backends))
            if ran_on.get("clustering", "") != clustering_backends:
                ran_on["clustering"] = clustering_backends
                run_dir.write_environment(ran_on)
            predictions = None if people is None else people.predictions(learner.classify)
            model, out_of_fold = learner.save(), None
            # Networks whose other layers are trained, too, take too long to train again.
            if people is not None and people.doubts_labels and config.model.trains_head_alone:
                out_of_fold = _out_of_fold(learner, result, config.seed)
            line = run_dir.commit(result, model, predictions, out_of_fold)
            montages.draw(result.iteration, result.ledger)
            for observe in observers:
                observe(line, result)
            done = result.iteration + 1
            phase.name = f"iteration {done}"
            if people is None or done == settings.total_iterations:
                continue
            if (reason := people.reason_to_end(done)) is not None:
                montages.fix_missing()
                run_dir.finish(reason)
                return
    montages.fix_missing()
    run_dir.finish("iterations" if done == settings.total_iterations else POOL_EXHAUSTED)


def _out_of_fold(learner: "NetworkLearner", result: IterationResult, seed: int) -> OutOfFold | None:
    """What models predict for the samples of D^L of which they have not seen the labels.

    They are trained on D^L alone, because its labels are more reliable than those of clusters.

    Returns:
        The predictions. None if D^L is too small, or if a training diverged.
    """
    indices = Pool(result.pool).labeled()
    samples = TrainingSet(indices=indices, labels=result.pool.labels[indices].astype(np.int64))
    if len(indices) < NUM_FOLDS:
        return None
    try:
        probs = predict_out_of_fold(learner, samples, partial(stream, seed, result.iteration))
    except DivergedError as error:
        logger.warning("iteration %d: no cross-validation of the labels: %s", result.iteration, error)
        return None
    each, predicted = np.arange(len(indices)), probs.argmax(axis=1)
    return OutOfFold(
        sample=indices.astype(np.int32),
        label=samples.labels.astype(np.int32),
        predicted=predicted.astype(np.int32),
        of_predicted=probs[each, predicted],
        of_label=probs[each, samples.labels],
    )


def _load(
    config: ExperimentConfig,
    worker: WorkerSettings,
    team: "Team | None",
    expected: ExpectedInputs | None,
    load_plugins: Callable[[], object],
    phase: _Phase,
    people: People | None = None,
) -> tuple["NetworkLearner", LoadedDataset, Manifest]:
    """Load data and model, and compare them with the expected data and weights.

    Raises:
        InputError: The data or the model cannot be used, or differ from the expected ones.
    """
    phase.name = "loading the plug-ins"
    load_plugins()
    phase.name = "loading the dataset"
    dataset = build.dataset(config)
    if people is None:
        loaded = dataset.load(content=None if expected is None else expected.content)
    else:
        loaded = people.load(dataset)
    manifest = manifest_of(loaded)
    phase.name = "loading the model"
    learner = build.learner(config, loaded, worker, team=team)
    if expected is not None:
        expected.check(
            manifest, learner.weights_digest, None if learner.features is None else learner.features.weights_digest
        )
    return learner, loaded, manifest


class _Montages:
    """Draws the montages of the clusters of each iteration, if the samples can be drawn.

    An experiment continues if drawing fails.
    """

    def __init__(self, run_dir: RunWriter, loaded: LoadedDataset) -> None:
        self._run_dir, self._loaded = run_dir, loaded
        self._missing: list[int] = []

    def draw(self, iteration: int, ledger: Sequence[Interaction]) -> None:
        """Draw the clusters that were shown in an iteration."""
        with self._unharmed(iteration):
            self._draw(iteration, ledger)

    def fix(self, iteration: int) -> None:
        """Draw the montage of a saved iteration again if it is missing or damaged."""
        with self._unharmed(iteration):
            self._draw(iteration, self._run_dir.ledger_of(iteration))

    def fix_missing(self) -> None:
        """Draw the montages that could not be written before, for example on a full disk."""
        for iteration in tuple(self._missing):
            self.fix(iteration)

    def _draw(self, iteration: int, ledger: Sequence[Interaction]) -> None:
        if isinstance(self._loaded, TextDataset):
            clusters = text_clusters.choose(ledger, self._loaded)
            self._write(iteration, None if clusters is None else text_clusters.to_html(clusters), "html")
        else:
            self._write(iteration, montage.draw(ledger, self._loaded), "png")

    def _write(self, iteration: int, content: bytes | None, form: MontageForm) -> None:
        if content is not None and content != self._run_dir.montage(iteration, form):
            self._run_dir.write_montage(iteration, content, form)

    @contextmanager
    def _unharmed(self, iteration: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._missing:
                logger.warning("%s: no montage of iteration %d: %s", self._run_dir.folder.place, iteration, error)
            self._missing.append(iteration)
