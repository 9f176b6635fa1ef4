"""Handles Ctrl-C, SIGTERM, `ray job stop` and a closed terminal.

The first signal ends the command in an orderly way, and the second one ends it at once.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Each part of the orderly end after SIGTERM may take this many seconds. A stopped Ray job gets SIGKILL three seconds
# after SIGTERM.
TERM_SECONDS = 1.5
# This many seconds after a signal, the process is killed, because an orderly end that takes longer must have failed.
LAST_SECONDS = {signal.SIGINT: 90.0, signal.SIGTERM: 25.0, signal.SIGHUP: 25.0}

_received: int | None = None
_deferred = False
_is_call = False  # Whether the signals belong to a sweep that Python code runs, for example in a notebook.


def catch_signals() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP. This must be called again after a library has set its own handlers.

    A signal that the process ignored at its start, for example under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


@contextmanager
def signals_of_a_call() -> Iterator[None]:
    """Handle signals while Python code runs a sweep in its own process, such as a notebook, which continues afterwards.

    The first signal raises `KeyboardInterrupt`, so that the sweep ends in an orderly way. A second signal raises it
    again, and does not end the process. At the end the previous handlers are restored, and a received SIGTERM or SIGHUP
    is raised again for them. In threads other than the main thread this function does nothing, because they get no
    signals.
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
        raise KeyboardInterrupt from error  # The signal caused the error.
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        received, _received, _is_call = _received, None, False
        if received is not None and received != signal.SIGINT:
            signal.raise_signal(received)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer signals inside the `with` block to the next `raise_if_received`, or to the end of the block.

    An exception raised at an arbitrary point, such as inside a library that holds a lock, can leave the lock held
    forever.
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
    """Raise `KeyboardInterrupt` in place of the `SystemExit` with which a library answers SIGTERM inside the block."""
    try:
        yield
    except SystemExit as error:
        _receive(signal.SIGTERM)
        raise KeyboardInterrupt from error
    finally:
        catch_signals()
    raise_if_received()


def is_received() -> bool:
    """Whether a signal was received."""
    return _received is not None


def raise_if_received() -> None:
    """Raise `KeyboardInterrupt` if a signal was received."""
    if is_received():
        raise KeyboardInterrupt


def seconds_to_close(usual: float) -> float:
    """The seconds that a part of the orderly end may take. This is `usual`, or fewer seconds after SIGTERM or
    SIGHUP."""
    return usual if _received in (None, signal.SIGINT) else TERM_SECONDS


def exit_code() -> int:
    """The exit code 128 + signal number, as in shells: 130, 143 or 129. The call also clears the received signal and
    its alarm."""
    global _received
    code = 128 + (_received or signal.SIGINT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _received = None
    return code


def leave(code: int) -> NoReturn:
    """End the process with the exit code of its command.

    After a signal the process ends at once, without the cleanup of the interpreter, because a stopped job may be killed
    before this cleanup is done.
    """
    if code <= 128:
        sys.exit(code)
    with suppress(OSError):  # The terminal may be closed.
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _handle(number: int, frame: FrameType | None) -> None:
    if _received is not None and _is_call:
        raise KeyboardInterrupt
    if _received is not None:
        # The process may end at any moment: saved files are always complete, and Ray ends the processes that this
        # process has started.
        with suppress(OSError):  # The terminal may be closed.
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
    # The alarm of the kernel ends the process even if its threads wait for locks.
    signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS[signal.Signals(number)])
