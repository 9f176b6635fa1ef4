"""Runs one step of the kit as a separate process group. The group is ended at its time limit, whatever its processes
do."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

GRACE_SECONDS = 4.0
TAIL_BYTES, TAIL_LINES = 4000, 15
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended.

    Attributes:
        status: `finished`, `cut after N s`, `failed with code N`, or `failed before its start`.
        seconds: The wall-clock seconds that the step took.
        last_lines: The last lines of the step's output; empty if the step finished.
    """

    status: str
    seconds: float
    last_lines: tuple[str, ...] = ()


def run_step(
    command: Sequence[str],
    limit: float,
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    look: Callable[[], object] = lambda: None,
) -> Outcome:
    """Run a command, append its output to the log, and end its whole process group after `limit` seconds at the latest.

    Args:
        folder: The working directory of the command.
        look: A function that is called several times a second while the command runs.
    """
    begin = monotonic()
    with log.open("ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        written = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            is_cut = not _wait(process, begin + limit, look)
        finally:
            _end_group(process)
    seconds = monotonic() - begin
    if is_cut:
        status = f"cut after {limit:.0f} s"
    elif process.returncode:
        status = f"failed with code {process.returncode}"
    else:
        return Outcome(status="finished", seconds=seconds)
    return Outcome(status=status, seconds=seconds, last_lines=_tail(log, written))


def _wait(process: subprocess.Popen[bytes], end: float, look: Callable[[], object]) -> bool:
    """Wait until the process ends or the time `end` has come, and return whether the process has ended."""
    while process.poll() is None:
        look()
        if monotonic() >= end:
            return False
        sleep(LOOK_SECONDS)
    return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process, first by SIGTERM and then by SIGKILL, and all processes of its group."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _tail(log: Path, begin: int) -> tuple[str, ...]:
    """The last lines of the log after the byte `begin`."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - TAIL_BYTES))
        return tuple(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
