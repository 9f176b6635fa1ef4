"""Starts labeling servers and their workers in processes forked from one that has imported everything.

Run as a script, it listens on a Unix socket. Each connection carries one order: a JSON object, with the three standard
streams attached. The answers are the process id of the fork and, when the fork has ended, its exit code, which is
negative for a signal.

A server starts its worker by running `sys.executable`. In these tests `sys.executable` is a small program that passes
the order and its standard streams on to this process, and ends with the exit code of the forked worker.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import processes
import psutil

# A line of `operations`, and whether the process is killed `before` the operation of this line, in its middle (`torn`)
# or `after` it.
Point = tuple[str, str]
# A worker that failed is started again after this time. Outside of the tests, the time is 20 seconds.
RETRY_SECONDS = 0.2

LAUNCHER = """\
#!{python} -SE
import json, os, signal, socket, sys
if "raycal.annotate.worker" not in sys.argv:  # such as the process that writes the report
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
order = {{"role": "worker", "storage": os.environ["FAULTS_STORAGE"], "points": json.loads(os.environ["FAULTS_POINTS"])}}
socket.send_fds(connection, [json.dumps(order).encode() + b"\\n"], [0, 1, 2])
os.close(0)
answers = connection.makefile()
answers.readline()
code = int(answers.readline() or -9)
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Running:
    """A forked process."""

    def __init__(self, address: str, order: dict[str, Any], log: Path) -> None:
        self._log, self._begin = log, log.stat().st_size if log.exists() else 0
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        with open(log, "ab") as out, open(os.devnull, "rb") as nothing:
            streams = [nothing.fileno(), out.fileno(), out.fileno()]
            socket.send_fds(self._connection, [json.dumps(order).encode() + b"\n"], streams)
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())
        self.code: int | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def output(self) -> str:
        """What the process has printed."""
        return self._log.read_bytes()[self._begin :].decode()

    def wait(self, seconds: float) -> int | None:
        """The exit code, negative for a signal; None if the process still runs after some seconds."""
        self._thread.join(seconds)
        return self.code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, unless the process has ended."""
        if self.code is None:
            os.kill(self.pid, number)

    def _wait(self) -> None:
        self.code = int(self._answers.readline() or -signal.SIGKILL)
        self._answers.close()
        self._connection.close()


class Forge:
    """The process from which servers and workers are forked; a context manager."""

    def __init__(self, folder: Path, cache: str) -> None:
        self._folder, self._cache = folder, cache
        self.address = str(folder / "orders.socket")

    def __enter__(self) -> Self:
        launcher = self._folder / "launcher"
        launcher.write_text(LAUNCHER.format(python=sys.executable, address=self.address))
        launcher.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.address, str(launcher)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=processes.environment() | {"RAYCAL_CACHE": self._cache},
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def serve(self, storage: Path, *arguments: str, points: Sequence[Point] = ()) -> Running:
        """Start `python -m raycal.annotate` with these arguments. Its output is appended to a file beside the storage.

        Args:
            storage: The folder beside which the notes of the processes are written.
            arguments: The arguments of the command line.
            points: Where the server and its workers are killed, once at each point.
        """
        order = {"role": "server", "storage": str(storage), "arguments": arguments, "points": list(points)}
        return Running(self.address, order, storage.with_suffix(".log"))


def operations(storage: Path) -> Path:
    """The file with one line per write or removal of a file: the role of the process, the operation, and the path."""
    return storage.with_suffix(".operations")


def hits(storage: Path) -> Path:
    """The file with one line for each point at which a process was killed."""
    return storage.with_suffix(".hits")


def pid_file(storage: Path) -> Path:
    """The file with the process id of the newest worker."""
    return storage.with_suffix(".worker")


def kill_worker(storage: Path) -> None:
    """Kill the newest worker by SIGKILL, unless it has ended."""
    with suppress(OSError, ValueError, psutil.Error):
        worker = psutil.Process(int(pid_file(storage).read_text()))
        if __file__ in worker.cmdline():
            worker.kill()


def serve(address: str, launcher: str) -> None:
    """Fork a process for each order that arrives."""
    import sklearn.datasets  # noqa: F401
    import torch  # noqa: F401

    import raycal.annotate.app
    import raycal.annotate.command
    import raycal.annotate.uvicorn_server
    import raycal.annotate.worker
    import raycal.learner.learner
    from raycal.tracking import set_up_mlflow

    set_up_mlflow()
    import raycal.tracking.projection  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _watch(connection, launcher)
            connection.close()


def _watch(connection: socket.socket, launcher: str) -> None:
    """Fork the process of an order, and tell how it ends."""
    content, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _carry_out(json.loads(content), launcher)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{pid}\n".encode())
    connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _carry_out(order: dict[str, Any], launcher: str) -> None:
    """Run the server or the worker of an order in this process, with its fault, and end the process."""
    code = 70
    try:
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        storage, role = Path(order["storage"]), order["role"]
        _kill_at(storage, role, order["points"])
        if role == "worker":
            pid_file(storage).write_text(str(os.getpid()))
            from raycal.annotate import worker

            worker.main()
        from raycal.annotate import __main__ as annotate
        from raycal.annotate import rounds

        os.environ |= {"FAULTS_STORAGE": str(storage), "FAULTS_POINTS": json.dumps(order["points"])}
        sys.executable = launcher
        rounds.RETRY_SECONDS = RETRY_SECONDS
        code = annotate.main(order["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(storage: Path, role: str, points: list[list[str]]) -> None:
    """Append a line for each write and removal of a file, and kill this process once at each of the given points."""
    from raycal.storage.folder import Folder

    lock = threading.RLock()

    def noting(name: str, call: Callable[[], None], folder: Any, file: str, *content: bytes) -> None:
        operation = f"{role} {name} {os.path.relpath(f'{folder.path}/{file}', storage)}"
        with lock:
            _append(operations(storage), operation)
            done = lines(hits(storage))
            places = [place for where, place in points if where == operation and f"{place} {where}" not in done]
            if not places:
                return call()
            _append(hits(storage), f"{places[0]} {operation}")
            if places[0] == "torn" and content:
                processes._tear(folder, file, content[0], _die)
            if places[0] == "after":
                call()
            _die()

    for name in ("write", "remove"):

        def instead(*arguments: Any, name: str = name) -> None:
            noting(name, *arguments)

        processes._around(Folder, name, instead)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _append(file: Path, line: str) -> None:
    with open(file, "a") as opened:
        print(line, file=opened)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


if __name__ == "__main__":
    serve(*sys.argv[1:])
