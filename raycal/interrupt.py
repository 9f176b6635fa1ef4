"""Ctrl-C, SIGTERM, `ray job stop`, a closed terminal: the first one ends the command in order, the second at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A Ray job that is stopped gets SIGKILL three seconds after SIGTERM.
TERM_SECONDS = 1.5
# An orderly end that takes longer has gone wrong.
LAST_SECONDS = {signal.SIGINT: 90.0, signal.SIGTERM: 25.0, signal.SIGHUP: 25.0}

_received: int | None = None
_deferred = False
_is_call = False  # whether a call from Python code handles signals, in a process that goes on afterwards


def catch_signals() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP. To be called again after libraries that set handlers of their own.

    A signal that the process was started to ignore, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


@contextmanager
def signals_of_a_call() -> Iterator[None]:
    """Handle signals while Python code runs a sweep in its own process, such as a notebook, which goes on afterwards.

    The first signal raises `KeyboardInterrupt`, so that the sweep ends in order. A second one does so again, and does
    not end the process. At the end the handlers are those of before, and a SIGTERM or SIGHUP is raised again for them.
    Other threads than the main one get no signals, and nothing is done there.
    """
    global _is_call, _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _is_call = True
    catch_signals()
    try:
        yield
    except Exception as error:
        if not is_received():
            raise
        raise KeyboardInterrupt from error  # what was under way broke on the signal
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        received, _received, _is_call = _received, None, False
        if received is not None and received != signal.SIGINT:
            signal.raise_signal(received)


@contextmanager
def deferred() -> Iterator[None]:
    """A signal meanwhile waits for the next `raise_if_received`, or for the end.

    An exception that comes anywhere, inside a library that holds a lock, can leave that lock taken for ever.
    """
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False
    raise_if_received()


@contextmanager
def foreign_sigterm_handler() -> Iterator[None]:
    """Meanwhile a library answers SIGTERM with `SystemExit`: raise `KeyboardInterrupt` in its place."""
    try:
        yield
    except SystemExit as error:
        _receive(signal.SIGTERM)
        raise KeyboardInterrupt from error
    finally:
        catch_signals()
    raise_if_received()


def is_received() -> bool:
    """Whether a signal came."""
    return _received is not None


def raise_if_received() -> None:
    """Raise `KeyboardInterrupt` when a signal came."""
    if is_received():
        raise KeyboardInterrupt


def seconds_to_close(usual: float) -> float:
    """How long a part of the orderly end may take."""
    return usual if _received in (None, signal.SIGINT) else TERM_SECONDS


def exit_code() -> int:
    """128 and the signal's number, as shells have it: 130, 143 or 129. The command is over: no signal is pending."""
    global _received
    code = 128 + (_received or signal.SIGINT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _received = None
    return code


def leave(code: int) -> NoReturn:
    """End the process with the exit code of its command.

    After a signal at once: the interpreter takes seconds to put itself away, which a stopped job has not.
    """
    if code <= 128:
        sys.exit(code)
    with suppress(OSError):  # the terminal may be closed
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _handle(number: int, frame: FrameType | None) -> None:
    if _received is not None and _is_call:
        raise KeyboardInterrupt
    if _received is not None:
        # What is saved is whole at every moment; Ray ends what this process has started.
        with suppress(OSError):  # the terminal may be closed
            os.write(2, b"\ninterrupted again: ended at once\n")
        os._exit(128 + number)
    _receive(number)
    if not _deferred:
        raise KeyboardInterrupt


def _receive(number: int) -> None:
    global _received
    _received = number
    if _is_call:
        return
    # The kernel's alarm: it works whatever thread waits for whatever lock.
    signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS[signal.Signals(number)])
