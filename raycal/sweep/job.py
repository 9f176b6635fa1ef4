"""A request to run a sweep, and the job that a request becomes after everything was checked. This module starts and
writes nothing."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from raycal.config import ExperimentConfig, Sweep, load_sweep
from raycal.config.dataset_names import image_root
from raycal.config.labels import say_more, trial_labels
from raycal.config.overrides import Overrides
from raycal.config.people import asks_people
from raycal.data import DatasetInfo
from raycal.errors import InputError, printable
from raycal.experiment import build
from raycal.home import expand_home, nearest_existing
from raycal.installed import is_installed
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import rule_of
from raycal.storage.folder import Folder
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import RunDir
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.sweep.doubts import doubts
from raycal.sweep.extension import Extension, extend
from raycal.sweep.preflight import check, check_apart, inspect_dataset, select
from raycal.tracking import tracking_uri

# The only setting of a project of people that may change after the start.
ITERATIONS = "iterations"


class Inspect(Protocol):
    """Finds the sizes of the dataset of an experiment without decoding an image."""

    def __call__(self, config: ExperimentConfig, *, sweep_dir: SweepDir) -> DatasetInfo: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The unchecked input of a command line or of a call from Python code.

    Attributes:
        sweep: The path of a sweep file, or the contents of one.
        storage: The folder or URI that contains the sweep folder.
        address: The Ray cluster. None means `RAY_ADDRESS` if it is set, otherwise this machine.
        local: Whether the trials run one after another in this process, without Ray.
        resume: Whether to continue a sweep that was started before.
        only: Patterns that select the trials to run; if empty, all trials run.
        overrides: Settings that replace the settings of the sweep file.
        track: Whether the runs are sent to MLflow.
        report: Whether the report is written at the end.
        people: Whether people answer the questions in place of a simulated expert.
    """

    sweep: str | Mapping[str, Any]
    storage: str = "runs"
    address: str | None = None
    local: bool = False
    resume: bool = False
    only: Sequence[str] = ()
    overrides: Overrides = ()
    track: bool = True
    report: bool = True
    people: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked request.

    Attributes:
        request: The request.
        sweep: The sweep, as loaded and validated.
        selected: The requested experiments, by id. A search that decides trial by trial adds experiments to them.
        sweep_dir: The folder of the sweep.
        extension: The plan of an earlier start and its extension by this request; None at the first start.
        labels: The labels of the trials in printed lines, by id.
        infos: The datasets of the selected experiments, by experiment id.
        tracking_uri: The tracking URI to send the runs to. None means that they are not tracked.
        away: The reason why nothing can be sent to the tracking URI at the start; empty if the server answers, or if no
            request was sent yet.
        iterations: The number of iterations that people want by now, if it differs from the number with which their
            project was started.
    """

    request: Request
    sweep: Sweep
    selected: dict[str, ExperimentConfig]
    sweep_dir: SweepDir
    extension: Extension | None
    labels: dict[str, str]
    infos: Mapping[str, DatasetInfo]
    tracking_uri: str | None
    away: str = ""
    iterations: int | None = None

    @property
    def plan(self) -> SweepPlan | None:
        """The plan of an earlier start, with what the sweep file adds to it. None at the first start."""
        return None if self.extension is None else self.extension.plan

    @property
    def tracked(self) -> Mapping[str, ExperimentConfig]:
        """The experiments to show in MLflow: the selected ones, and the experiments that the sweep file no longer
        contains."""
        if self.plan is None or not self.plan.removed:
            return self.selected  # This is no copy, because more experiments may be added.
        return {key: self.plan.experiments[key] for key in self.plan.removed} | self.selected

    def warnings(self) -> list[str]:
        """What is doubtful about the settings of the selected experiments, one line each."""
        return [f"warning: {line}" for line in doubts(self.selected or self.sweep.examples, self.infos)]

    @property
    def printed_labels(self) -> dict[str, str]:
        """The labels if they say more than the ids; otherwise empty."""
        return self.labels if say_more(self.labels, self.selected) or self.sweep.base else {}

    @property
    def num_trials(self) -> int:
        """The largest number of trials that the sweep may have."""
        return self.sweep.num_trials if self.sweep.base else len(self.selected)

    @property
    def num_left(self) -> int:
        """The number of trials that have not ended."""
        return self.num_trials - len(self.selected) + len(self.unfinished())

    def earlier_results(self) -> Iterator[tuple[str, ExperimentConfig, list[IterationRecord]]]:
        """The results of earlier starts: the id, the settings and the lines of each experiment that has results."""
        if self.extension is None:
            return
        for key, config in self.selected.items():
            if lines := self.sweep_dir.run_dir(key).results():
                yield key, config, lines

    def unfinished(self) -> dict[str, ExperimentConfig]:
        """The selected experiments that have neither finished nor been stopped early, by id."""
        run_dir = self.sweep_dir.run_dir
        return {key: config for key, config in self.selected.items() if not run_dir(key).state().is_complete}


def prepare(request: Request, inspect: Inspect | None = None) -> Job:
    """Check a request, without starting or writing anything.

    Args:
        request: The request.
        inspect: Finds the sizes of the dataset of an experiment, which has a folder in the folder of the sweep. None
            means those of a first start.

    Raises:
        InputError: The request cannot be carried out.
    """
    sweep = load_sweep(request.sweep, build.REGISTRIES, overrides=request.overrides)
    _check_expert(request, sweep)
    if request.local:
        _check_local(sweep)
    storage = _storage(request.storage)
    sweep_dir = SweepDir(storage.folder(sweep.name))
    _check_writable(sweep_dir.folder)
    iterations = None
    if request.people:
        sweep, iterations = _as_started(request, sweep, sweep_dir)
    extension = _extension(sweep, sweep_dir, resume=request.resume)
    planned = {} if extension is None else extension.plan.experiments
    asked = {key: planned.get(key, config) for key, config in sweep.experiments.items()}
    labels = labels_of(sweep, {**planned, **asked})
    selected = select(asked, request.only, labels)
    started = {} if extension is None else extension.earlier.experiments
    _announce_reading(sweep.name, selected or sweep.examples)
    read = inspect_dataset if inspect is None else partial(inspect, sweep_dir=sweep_dir)
    infos = _check(selected or sweep.examples, {**planned, **asked}, sweep_dir, started, read)
    check_apart(infos.values(), storage)
    for note in sweep.notes:
        print(note, file=sys.stderr)
    if extension is not None and str(extension):
        print(f"{sweep.name}: {extension}", flush=True)
    uri = tracking_uri(sweep.tracking.uri, sweep_dir) if request.track else None
    return Job(
        request=request,
        sweep=sweep,
        selected=dict(planned) if sweep.base else selected,
        sweep_dir=sweep_dir,
        extension=extension,
        labels=labels,
        infos=infos,
        tracking_uri=uri if is_installed("mlflow") else None,
        iterations=iterations,
    )


def _announce_reading(name: str, experiments: Mapping[str, ExperimentConfig]) -> None:
    """Print which folders of images are read, because the command prints nothing else while it lists their files."""
    roots = dict.fromkeys(root for config in experiments.values() if (root := image_root(config)) is not None)
    folders = [root for root in roots if os.path.isdir(os.path.expanduser(root))]
    if folders:
        print(f"{name}: looking for images in {', '.join(map(printable, folders))} ...", flush=True)


def labels_of(sweep: Sweep, experiments: Mapping[str, ExperimentConfig]) -> dict[str, str]:
    """The labels of all trials that are known so far; a search that decides trial by trial adds more later."""
    searched = sweep.search.space if sweep.search and sweep.base else ()
    return trial_labels(experiments, searched)


def _storage(place: str) -> Folder:
    """The storage folder.

    Raises:
        InputError: The path is relative in a Ray job, whose working directory is deleted at the end of the job.
    """
    in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if in_job and "://" not in place and not os.path.isabs(expand_home(place)):
        raise InputError(f"--storage {place}: in a Ray job give an absolute path or a URI; a job's folder is temporary")
    return Folder.at(place)


def _check_expert(request: Request, sweep: Sweep) -> None:
    """Refuse a sweep of several experiments whose expert is people, who answer one experiment at a time, and a labeling
    project whose expert is not people."""
    name = request.sweep if isinstance(request.sweep, str) else sweep.name
    experiments = [*sweep.experiments.values(), *sweep.examples.values()]
    if not request.people:
        if any(map(asks_people, experiments)):
            raise InputError(
                f"{name}: experiment.expert: people answer in a browser, not in a sweep; run python -m raycal.annotate "
                f"{shlex.quote(name)}, or choose a simulated expert"
            )
        return
    if len(experiments) != 1 or sweep.base:
        raise InputError(f"{name}: people label one experiment at a time, but grid and search make {sweep.num_trials}")
    if not all(map(asks_people, experiments)):
        raise InputError(f"{name}: experiment.expert: should be people; change it, or add --set expert=people")


def _as_started(request: Request, sweep: Sweep, sweep_dir: SweepDir) -> tuple[Sweep, int | None]:
    """The sweep with the settings with which the project was started, to which the answers of people belong.

    Only `iterations` may change, because it does not change what the answers in the ledger are about.

    Returns:
        The sweep, and the number of iterations that people want now, if it is another number.

    Raises:
        InputError: The project was started with other settings, or the folder belongs to a sweep.
    """
    plan, ((key, config),) = sweep_dir.read_plan(), sweep.experiments.items()
    if plan is None or key in plan.experiments:
        return sweep, None
    place = sweep_dir.folder.place
    name = request.sweep if isinstance(request.sweep, str) else sweep.name
    if plan.base is not None or len(plan.experiments) != 1 or not all(map(asks_people, plan.experiments.values())):
        raise InputError(f"{name}: {place} has a sweep without people; give the project another name or --storage")
    ((started, earlier),) = plan.experiments.items()
    was, now = earlier.flat(), config.flat()
    changed = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    others = [key for key in changed if key != ITERATIONS]
    if changed and not others:
        _check_iterations(name, config.iterations, sweep, sweep_dir.run_dir(started))
        return replace(sweep, experiments={started: earlier}), config.iterations
    advice = {"interactions_per_iteration": "put it back, and press T on the page to end a round after fewer answers"}
    raise InputError(
        *(
            f"{name}: {key} was {_text(was.get(key))} when the project was started and is now {_text(now.get(key))}; "
            f"{advice.get(key, 'put it back, or give the project another name or --storage')}"
            for key in others
        ),
        f"{place} keeps the answers, which belong to the earlier settings",
    )


def _check_iterations(name: str, iterations: int, sweep: Sweep, run_dir: RunDir) -> None:
    """Refuse a number of iterations with which a project cannot go on.

    Raises:
        InputError: People have begun with more iterations, or the project would end at once by a stopping rule.
    """
    if run_dir.state().is_complete and iterations == run_dir.config().iterations:
        return
    begun = StepFiles(run_dir.folder.folder(STEPS)).newest()
    fewest = max(len(run_dir.results()), 0 if begun is None else begun[0] + 1)
    if iterations < fewest:
        raise InputError(
            f"{name}: iterations is {iterations}, but people have begun with iteration {fewest}; give at least {fewest}"
        )
    rule = rule_of(run_dir.reason())
    if rule is not None and sweep.stop.automatically and goes_on_after_the_end(run_dir, iterations):
        raise InputError(
            f"{name}: the project has ended by the stopping rule {rule}; set stop.automatically to false to go on"
        )


def goes_on_after_the_end(run_dir: RunDir, iterations: int) -> bool:
    """Whether a project of people that has ended is to go on, because its file has more iterations by now."""
    return run_dir.state().is_complete and len(run_dir.results()) < iterations != run_dir.config().iterations


def _text(value: object) -> str:
    return "not given" if value is None else json.dumps(value)


def _check_local(sweep: Sweep) -> None:
    """Refuse settings that `--local` cannot carry out: several workers per trial, a search, or a scheduler."""
    refused = {
        "resources.workers_per_trial=1": sweep.resources.workers_per_trial > 1,
        "search.algorithm=random": sweep.base is not None,
        "scheduler=null": sweep.scheduler is not None,
    }
    problems = [
        f"--local: runs one trial after another in this process; add --set {instead}"
        for instead, needed in refused.items()
        if needed
    ]
    if problems:
        raise InputError(*problems)


def _check_writable(folder: Folder) -> None:
    """Refuse a local folder that cannot be created or written, without creating it."""
    path = Path(folder.path)
    if not folder.is_local:
        return
    nearest = nearest_existing(path)
    if not os.path.isdir(nearest):
        raise InputError(f"--storage: {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"--storage: no permission to write in {nearest}")


def _extension(sweep: Sweep, sweep_dir: SweepDir, *, resume: bool) -> Extension | None:
    """The plan of an earlier start, compared with the sweep file as it is now; None if there is no such plan."""
    plan = sweep_dir.read_plan()
    if plan is None:
        return None
    if not resume:
        raise InputError(
            f"{sweep_dir.folder.place}: this sweep was started before; add --resume to continue, "
            "or take another name or --storage"
        )
    return extend(plan, sweep)


def _check(
    experiments: Mapping[str, ExperimentConfig],
    among: Mapping[str, ExperimentConfig],
    sweep_dir: SweepDir,
    started: Mapping[str, ExperimentConfig],
    inspect: Callable[[ExperimentConfig], DatasetInfo],
) -> Mapping[str, DatasetInfo]:
    """Check the datasets and weights.

    Args:
        experiments: The experiments to check, by id.
        among: All experiments of the sweep; the names of their datasets must differ.
        sweep_dir: The folder of the sweep.
        started: The trials of an earlier start. If their datasets or weights are missing, the error also names the
            commands that need neither.
        inspect: Finds the sizes of the dataset of an experiment.

    Raises:
        InputError: A dataset or a weights file cannot be used.
    """
    try:
        return check(experiments, among, inspect)
    except InputError as error:
        try:
            check({key: config for key, config in experiments.items() if key in started})
        except InputError:
            place = shlex.quote(sweep_dir.folder.place)
            hint = (
                "this sweep was started before and continues only with the images and weights it was started with; "
                f"python -m raycal.report {place} and python -m raycal.track {place} need neither"
            )
            raise InputError(*error.problems, hint) from error
        raise
