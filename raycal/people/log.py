"""Keeps the log of all answers in files, each of which is on the disk as a whole or not at all.

A file `00000017.jsonl` holds the events that arrived within some milliseconds, one per line. When there are many such
files, they are joined in one file such as `00000001-00000256.jsonl`. A crash while files are joined can leave an event
in two files; a reader ignores the second one, because the id of an event is unique.
"""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, Self, TypeVar

from filelock import FileLock, Timeout

from raycal.errors import InfrastructureError, InputError, TakenOverError, one_line
from raycal.people.events import Event, from_line, to_line
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease

PEOPLE = "people"
ANSWERS = f"{PEOPLE}/answers"
# The number of files that are joined into one.
FILES_TO_JOIN = 256
# How long the first answer of a group waits for further ones, in seconds.
GROUP_SECONDS = 0.01

_NAME = re.compile(r"(\d{8})(?:-(\d{8}))?\.jsonl")


class NotStoredError(InfrastructureError, OSError):
    """Answers could not be stored. None of them counts, and they can be sent again later."""


def read_events(run_folder: Folder) -> list[Event]:
    """All events of a run in their order, each once. It can be called while a server writes.

    Raises:
        InputError: A file was not written by raycal, or not by this version.
    """
    folder = run_folder.folder(ANSWERS)
    read: dict[str, list[Event]] = {}
    while True:
        names = [name for name in folder.names("*.jsonl") if _NAME.fullmatch(name)]
        for name in names:
            content = None if name in read else folder.read(name)
            if content is not None:
                read[name] = _parsed(content, f"{folder.place}/{name}")
        # otherwise a file was just joined into a new one, which the next pass reads
        if all(name in read for name in names):
            break
    events = {event.id: event for name in names for event in read[name]}
    return sorted(events.values(), key=lambda event: event.seq)


class AnswerLog:
    """Writes the log of a run. At any time there is only one writer.

    Args:
        run_folder: The folder of the run.
        files_to_join: The number of files that `write` joins into one, in a thread of its own.

    Raises:
        InputError: Another process has opened the log of this run, the folder cannot be written, or the log is damaged.
    """

    def __init__(self, run_folder: Folder, *, files_to_join: int = FILES_TO_JOIN) -> None:
        self._folder = run_folder.folder(ANSWERS)
        self._files_to_join = files_to_join
        self._lock = _lock(run_folder.folder(PEOPLE))
        try:
            self._lease = Lease.take(run_folder.folder(PEOPLE))
            self._remove_joined()
            names = self._folder.names("*.jsonl")
            self._next = 1 + max((last for name in names for _, last in _numbers(name)), default=0)
            self._separate = sorted(name for name in names for first, last in _numbers(name) if first == last)
            self.events = read_events(run_folder)
            self._refuse_gaps()
        except OSError as error:
            self._release()
            raise InputError(f"{run_folder.place}/{PEOPLE} cannot be used: {one_line(error)}") from error
        except BaseException:
            self._release()
            raise
        self._joining: threading.Thread | None = None
        self._changing = threading.Lock()  # this lock guards `_separate`, which two threads change

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, events: Sequence[Event]) -> None:
        """Store events so that they survive a crash: all of them or, on an error, none.

        Raises:
            NotStoredError: The events are not stored, for instance because the disk is full. A later call may succeed.
        """
        name = f"{self._next:08d}.jsonl"
        content = "".join(f"{to_line(event)}\n" for event in events).encode()
        try:
            self._lease.check()
            self._folder.write(name, content)
        except TakenOverError as error:
            raise NotStoredError(
                "Another server has opened this project, so this one cannot store answers any more."
            ) from error
        except OSError as error:
            with suppress(OSError):  # the file may be there, although writing it failed
                self._folder.remove(name)
            raise NotStoredError(f"The answers could not be stored: {_reason(error)}.") from error
        self._next += 1
        with self._changing:
            self._separate.append(name)
        if len(self._separate) >= self._files_to_join and (self._joining is None or not self._joining.is_alive()):
            self._joining = threading.Thread(target=self._join_if_possible, name="join answer files", daemon=True)
            self._joining.start()

    def join_files(self) -> None:
        """Join all files that hold the events of a single write into one file. A crash at any moment loses nothing."""
        with self._changing:
            names = list(self._separate)
        if len(names) < 2:
            return
        self._lease.check()
        contents = [content for name in names if (content := self._folder.read(name)) is not None]
        if len(contents) < len(names):  # another process removed files that only this process may remove
            return
        self._folder.write(f"{names[0][:8]}-{names[-1][:8]}.jsonl", b"".join(contents))
        with self._changing:
            self._separate = self._separate[len(names) :]
        for name in names:
            self._folder.remove(name)

    def close(self) -> None:
        """Wait until files are joined, and let another process write the log."""
        if self._joining is not None:
            self._joining.join()
        self._release()

    def _join_if_possible(self) -> None:
        # All events are stored, so an error is no reason to stop. The next write tries again to join the files.
        with suppress(OSError, TakenOverError):
            self.join_files()

    def _remove_joined(self) -> None:
        """Remove the files that an earlier process had joined but could not remove."""
        numbers = {name: pair for name in self._folder.names("*.jsonl") for pair in _numbers(name)}
        joined = [pair for pair in numbers.values() if pair[0] != pair[1]]
        for name, (first, last) in numbers.items():
            if first == last and any(start <= first <= end for start, end in joined):
                self._folder.remove(name)

    def _refuse_gaps(self) -> None:
        """Refuse a log that lacks a file: the numbers of the events must follow one another without a gap.

        Raises:
            InputError: Events are missing.
        """
        for expected, event in enumerate(self.events, 1):
            if event.seq != expected:
                raise InputError(
                    f"{self._folder.place}: a file with answers is missing, because the numbers {expected:,} to "
                    f"{event.seq - 1:,} are in none; restore it from a copy"
                )

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _numbers(name: str) -> list[tuple[int, int]]:
    """The numbers of the first and the last write whose events a file holds; empty if the file does not belong to the
    log."""
    match = _NAME.fullmatch(name)
    return [] if match is None else [(int(match[1]), int(match[2] or match[1]))]


def _parsed(content: bytes, place: str) -> list[Event]:
    if not content.strip():
        raise InputError(f"{place}: is empty, but held answers; restore the file from a copy")
    events = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            events.append(from_line(line))
        except ValueError as error:
            raise InputError(
                f"{place}:{number}: this version of raycal cannot read this line; restore the file, "
                f"or use the version that wrote it ({one_line(error)})"
            ) from error
    return events


def _lock(folder: Folder) -> FileLock | None:
    """The lock of a local folder. None on a remote filesystem, where only the lease tells who may write."""
    if not folder.is_local:
        return None
    path = Path(folder.path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock", blocking=False, thread_local=False)  # another thread may close the log
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{path}: another process is serving this project") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return lock


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else one_line(error)


Request = TypeVar("Request")
Outcome = TypeVar("Outcome")


class GroupCommit(Generic[Request, Outcome]):
    """Lets many threads share one write: what arrives within some milliseconds is handled by one call.

    Args:
        handle: Handles a group of requests and returns their outcomes, or raises the error that all of them get. There
            is only one call at a time.
        seconds: How long the first request of a group waits for further ones.
    """

    def __init__(
        self, handle: Callable[[Sequence[Request]], Iterable[Outcome]], seconds: float = GROUP_SECONDS
    ) -> None:
        self._handle, self._seconds = handle, seconds
        self._changed = threading.Condition()
        self._waiting: deque[_Pending[Request, Outcome]] = deque()
        self._is_handling = False

    def __call__(self, request: Request) -> Outcome:
        """Have a request handled together with others, and return its outcome."""
        mine: _Pending[Request, Outcome] = _Pending(request)
        with self._changed:
            self._waiting.append(mine)
            while not mine.is_done and self._is_handling:
                self._changed.wait()
            if not mine.is_done:
                self._is_handling = True
        if not mine.is_done:
            self._handle_group()
        if mine.error is not None:
            raise mine.error
        return mine.outcomes[0]

    def _handle_group(self) -> None:
        if self._seconds:
            time.sleep(self._seconds)
        with self._changed:
            group = list(self._waiting)
            self._waiting.clear()
        try:
            for one, outcome in zip(group, self._handle([one.request for one in group]), strict=True):
                one.outcomes.append(outcome)
        except BaseException as error:
            for one in group:
                one.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self._changed:
                for one in group:
                    one.is_done = True
                self._is_handling = False
                self._changed.notify_all()


class _Pending(Generic[Request, Outcome]):
    """A request that waits to be handled."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.outcomes: list[Outcome] = []  # empty until the request is handled; the outcome itself may be None
        self.error: BaseException | None = None
        self.is_done = False
