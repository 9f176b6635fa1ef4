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

from raycal.errors import RaycalError
from raycal.experiment.with_people import WorkerOrder, carry_on

# Training leaves the processor to the server and the browser whenever these need it.
NICENESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the process gets from the server.

    Attributes:
        order: The experiment to carry on.
        address: The Ray cluster on which to carry it on. None means that this process does it.
    """

    order: WorkerOrder
    address: str | None = None


def work(task: Task) -> bool:
    """Carry on the experiment, and return whether it succeeded. If it failed, `error.txt` in the folder of the run
    gives the reason.
    """
    if task.address is None:
        os.nice(NICENESS)
        return carry_on(task.order)
    from raycal.distributed.with_people import carry_on_there

    try:
        return carry_on_there(task.order, task.address)
    except RaycalError as error:
        task.order.run_writer().fail(f"on Ray: {error}\n")
        return False


def _end_with_the_server() -> None:
    """End this process when the server ends, which closes the pipe to standard input."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> NoReturn:
    """Carry out the task that standard input holds, and end the process."""
    task: Task = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    done = work(task)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if done else 1)  # an ordinary end would wait for the thread that reads standard input


if __name__ == "__main__":
    main()
