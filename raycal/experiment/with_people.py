"""Carries on an experiment whose questions people answer, up to the next question without an answer."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from raycal.config import ExperimentConfig, WorkerSettings
from raycal.errors import StoppedError, StorageError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.people.answer_files import AnswerFiles
from raycal.people.answered import AnsweredByPeople
from raycal.plugins import Plugin, load_plugins
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_writer import RunWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """What a process needs to know to carry on the experiment.

    Attributes:
        config: The experiment.
        sweep_folder: The folder of the sweep, as a place that `Folder.at` accepts.
        lease: The record of the process that owns this folder.
        settings: The compute settings.
        plugins: The plug-ins of the experiment.
        working_directory: The folder from which relative paths start.
        folder: The name of the folder of the run. None means the id of the experiment. A project that got more
            iterations after its start keeps its folder.
        doubts_labels: Whether models that have not seen the labels of single images predict them after each round, so
            that people can look again at labels that these models doubt.
    """

    config: ExperimentConfig
    sweep_folder: str
    lease: str
    settings: WorkerSettings
    plugins: tuple[Plugin, ...] = ()
    working_directory: str = "."
    folder: str | None = None
    doubts_labels: bool = True

    def run_writer(self) -> RunWriter:
        """The folder of the run."""
        folder = Folder.at(self.sweep_folder)
        return RunWriter(folder.folder(self.folder or self.config.experiment_id), Lease(folder, self.lease))


def carry_on(order: WorkerOrder, load: Callable[[], object] | None = None) -> bool:
    """Carry on the experiment up to the next question that people have to answer, or to its end.

    Args:
        order: The experiment.
        load: Imports the plug-ins. None means that they are imported from the places in `order.plugins`.

    Returns:
        Whether the experiment reached this point. If it failed before, `error.txt` in the folder of the run has the
        reason.
    """
    if os.path.isdir(order.working_directory):
        os.chdir(order.working_directory)
    run_dir = order.run_writer()
    run_dir.tidy()
    answer_files = AnswerFiles(run_dir.folder)
    try:
        # If the process ended between saving a round and writing its file, the file is written now.
        answer_files.write_missing()
        done = _run(order, run_dir, answer_files, load or (lambda: load_plugins(order.plugins, build.REGISTRIES)))
        answer_files.write_missing()
        return done
    except StorageError:
        raise
    except OSError as error:
        run_dir.fail(f"reading and writing the answers: {type(error).__name__}: {error}\n")
        return False


def _run(order: WorkerOrder, run_dir: RunWriter, answer_files: AnswerFiles, load: Callable[[], object]) -> bool:
    """Run the experiment until it needs an answer or ends. Return False if it failed."""
    try:
        return run_experiment(
            order.config,
            run_dir,
            order.settings,
            observers=(lambda line, result: answer_files.write_missing(),),
            people=AnsweredByPeople(
                run_dir.folder,
                lambda: len(run_dir.results()),
                order.config.seed,
                doubts_labels=order.doubts_labels,
            ),
            load_plugins=load,
        )
    except StoppedError:
        return True
