"""Starts sweeps in processes forked from one that has imported everything, so that a start costs a second.

Run as a script, it reads orders from standard input, one JSON object per line. It answers each order with two lines:
the process id of the fork and, when the fork has ended, its exit code, which is negative for a signal.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from object_store import CREDENTIALS


class Starter:
    """The process from which sweeps are forked; a context manager."""

    def __init__(self, cache: str) -> None:
        self._cache = cache

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment() | {"RAYCAL_CACHE": self._cache},
        )
        self._answer()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def run(self, log: Path, *arguments: str, fault: dict[str, Any] | None = None) -> tuple[int, str]:
        """Run the command line of a sweep. Return its exit code, which is negative for a signal, and its output."""
        self.begin(log, *arguments, fault=fault)
        return self.end(), log.read_text()

    def begin(self, log: Path, *arguments: str, fault: dict[str, Any] | None = None) -> int:
        """Start the command and return its process id."""
        assert self._process.stdin is not None
        order = {"log": str(log), "arguments": arguments, "fault": fault or {}}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> int:
        """Wait for the command and return its exit code, which is negative for a signal."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def environment() -> dict[str, str]:
    """The environment with one thread per process, as a fork keeps only the thread that forks."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return (
        os.environ | CREDENTIALS | threads | {"PYTHONUNBUFFERED": "1", "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false"}
    )


def serve() -> None:
    """Fork a process for each order on standard input."""
    import faiss  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch  # noqa: F401

    import raycal.learner.learner
    import raycal.report.write
    import raycal.sweep.command
    from raycal.tracking import set_up_mlflow

    set_up_mlflow()
    import raycal.tracking.projection  # noqa: F401

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    print(0, file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            answers.close()
            _carry_out(order)
        print(pid, file=answers)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers)


def _carry_out(order: dict[str, Any]) -> None:
    """Run the command line with its fault in this process, and end the process."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        from raycal.sweep import __main__ as sweep

        fault = dict(order["fault"])
        FAULTS[fault.pop("kind", "none")](**fault)
        code = sweep.main(order["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _none(*, report: bool = False) -> None:
    _without_report(report)


def _crash(at: int, place: str, *, report: bool = False) -> None:
    """Kill this process by SIGKILL before, during or after the n-th write or removal of a file."""
    _without_report(report)
    _at_operation(at, place, lambda: os.kill(os.getpid(), signal.SIGKILL))


def _kill_after(seconds: float, *, report: bool = False) -> None:
    """Kill this process by SIGKILL after some seconds."""
    _without_report(report)
    from threading import Thread

    def kill() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    Thread(target=kill, daemon=True).start()


def _count(to: str, *, report: bool = False) -> None:
    """Append a line for each write or removal of a file: the kind of operation and the file."""
    _without_report(report)
    from raycal.storage.folder import Folder

    for name in ("write", "remove"):
        _around(Folder, name, lambda call, folder, file, *rest, name=name: (_note(to, name, folder, file), call()))


def _note(to: str, what: str, folder: Any, file: str) -> None:
    with open(to, "a") as notes:
        print(what, f"{folder.path}/{file}", file=notes)


def _fail(at: int, times: int, error: int, *, report: bool = False) -> None:
    """Let `times` writes fail with an error number, beginning with write number `at`."""
    _without_report(report)
    from raycal.storage.folder import Folder

    left = [at]

    def failing(call: Callable[[], None], *arguments: Any) -> None:
        left[0] -= 1
        if -times <= left[0] < 0:
            raise OSError(error, os.strerror(error))
        call()

    _around(Folder, "write", failing)


def _at_operation(at: int, place: str, act: Callable[[], object]) -> None:
    from raycal.storage.folder import Folder

    left = [at]

    def acting(call: Callable[[], None], folder: Any, file: str, *content: bytes) -> None:
        now = left[0] == 0
        left[0] -= 1
        if now and place == "torn" and content:
            _tear(folder, file, content[0], act)
        if now and place != "after":
            act()
        call()
        if now and place == "after":
            act()

    for name in ("write", "remove"):
        _around(Folder, name, acting)


def _tear(folder: Any, file: str, content: bytes, act: Callable[[], object]) -> None:
    """Call a function in the middle of a write, when half of the content is in the temporary file or has been sent to
    the object store."""
    half, path = content[: len(content) // 2], Path(folder.path, file)
    if folder.is_local:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.tmp").write_bytes(half)
        act()
    else:
        with folder._filesystem.open_output_stream(str(path)) as stream:
            stream.write(half)
            act()


def _stop(at: int, place: str, *, report: bool = False) -> None:
    """Stop by SIGSTOP at the n-th write or removal, and do not lock the folder, so that another start can take it."""
    _without_report(report)
    from contextlib import nullcontext

    from raycal.storage.sweep_dir import SweepDir

    SweepDir.lock = lambda self: nullcontext()  # type: ignore[method-assign]  # as on a file system without locks
    _at_operation(at, place, lambda: os.kill(os.getpid(), signal.SIGSTOP))


def _unlocked(*, report: bool = False) -> None:
    """Do not lock the folder, as on a file system without locks."""
    _stop(-1, "before", report=report)


def _around(kind: type, name: str, instead: Callable[..., object]) -> None:
    """Replace a method by `instead`, which is called with a function that calls the original method, and with the
    arguments of the call."""
    original = getattr(kind, name)

    def method(self: Any, *arguments: Any, **options: Any) -> None:
        instead(lambda: original(self, *arguments, **options), self, *arguments)

    setattr(kind, name, method)


def _without_report(wanted: bool) -> None:
    """Skip the report unless it is wanted. It takes seconds, and the tests compare the files that it is made from."""
    import raycal.sweep.run

    if not wanted:
        raycal.sweep.run._report = lambda *_: None


FAULTS: dict[str, Callable[..., None]] = {
    "none": _none,
    "crash": _crash,
    "kill_after": _kill_after,
    "count": _count,
    "fail": _fail,
    "stop": _stop,
    "unlocked": _unlocked,
}

if __name__ == "__main__":
    serve()
