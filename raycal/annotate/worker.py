"""The process that trains the model and makes the questions, while the server serves the page.

It runs the experiment as a simulation does, up to the first question that people have not answered. Then it ends, so
that neither memory nor a GPU is held while people answer. The server starts it again when the answers are there.
"""

import os
import pickle
import sys
import threading
from dataclasses import dataclass
from typing import NoReturn

from raycal.config import ExperimentConfig, WorkerSettings
from raycal.errors import StoppedError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.people.answer_files import AnswerFiles
from raycal.people.answered import AnsweredByPeople
from raycal.plugins import Plugin, load_plugins
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_writer import RunWriter

# Training leaves the processor to the server and the browser whenever these need it.
NICENESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """What a worker needs to know.

    Attributes:
        config: The experiment.
        sweep_folder: The folder of the sweep, as a place that `Folder.at` accepts.
        lease: The record of the start that owns this folder.
        settings: The compute settings.
        plugins: The plug-ins of the experiment.
    """

    config: ExperimentConfig
    sweep_folder: str
    lease: str
    settings: WorkerSettings
    plugins: tuple[Plugin, ...]


def work(order: WorkerOrder) -> bool:
    """Run the experiment up to the next question that people have to answer, or to its end.

    Returns:
        Whether it got there. If not, `error.txt` in the folder of the run has the reason.
    """
    load_plugins(order.plugins, build.REGISTRIES)
    folder = Folder.at(order.sweep_folder)
    run_dir = RunWriter(folder.folder(order.config.experiment_id), Lease(folder, order.lease))
    answer_files = AnswerFiles(run_dir)
    try:
        # If the process ended between saving a round and writing its file, the file is written now.
        answer_files.write_missing()
        people = AnsweredByPeople(run_dir.folder, len(run_dir.results()))
        return run_experiment(
            order.config,
            run_dir,
            order.settings,
            observers=(lambda line, result: answer_files.write_missing(),),
            people=people,
        )
    except StoppedError:
        return True
    except OSError as error:
        run_dir.fail(f"reading and writing the answers: {type(error).__name__}: {error}\n")
        return False


def _end_with_the_server() -> None:
    """End this process when the server ends, which closes the pipe to standard input."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> NoReturn:
    """Carry out the order that standard input holds, and end the process."""
    order: WorkerOrder = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    os.nice(NICENESS)
    done = work(order)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if done else 1)  # an ordinary end would wait for the thread that reads standard input


if __name__ == "__main__":
    main()
