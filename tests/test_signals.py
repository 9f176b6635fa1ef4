"""Tests that signals end a command in an orderly way, whatever the command is doing."""

import signal
import subprocess
import sys
import textwrap

import pytest

from raycal.signals import signals_of_a_call

PREAMBLE = """
import signal, sys, time
from raycal import signals as interrupt
interrupt.catch_signals()
def sleep(seconds):
    for _ in range(int(seconds * 100)):
        time.sleep(0.01)
def ready():
    print("ready", flush=True)
"""


def start(code: str, *, ignoring: bool = False) -> subprocess.Popen[str]:
    """Start a Python process, and wait until it has run up to its `ready()`."""
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: _set_signals(ignoring=ignoring),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _set_signals(*, ignoring: bool) -> None:
    """Set the default signal handlers in the child process. The tests may have been started with other handlers, for
    example under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_ends_what_is_under_way(number: signal.Signals, code: int) -> None:
    process = start("""
        try:
            ready()
            sleep(20)
        except KeyboardInterrupt:
            sys.exit(interrupt.exit_code())
    """)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == code


def test_deferred_signal_waits_for_a_place_where_it_may_come() -> None:
    process = start("""
        try:
            with interrupt.deferred():
                ready()
                sleep(1)
                print("not yet")
                interrupt.raise_if_received()
                print("never")
        except KeyboardInterrupt:
            print("now")
    """)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "not yet\nnow\n"


def test_deferred_signal_comes_at_the_latest_at_the_end() -> None:
    process = start("""
        try:
            with interrupt.deferred():
                ready()
                sleep(1)
            print("never")
        except KeyboardInterrupt:
            print("now")
    """)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == "now\n"


def test_second_signal_ends_at_once() -> None:
    process = start("""
        try:
            ready()
            sleep(20)
        except KeyboardInterrupt:
            ready()
            sleep(20)
    """)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert "interrupted again" in process.communicate(timeout=10)[1]
    assert process.returncode == 143


def test_end_that_hangs_is_ended_by_the_kernel() -> None:
    process = start("""
        import threading
        interrupt.LAST_SECONDS[signal.SIGINT] = 0.5
        lock = threading.Lock()
        lock.acquire()
        try:
            ready()
            sleep(20)
        except KeyboardInterrupt:
            lock.acquire()
    """)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGALRM


def test_orderly_end_takes_the_alarm_back() -> None:
    process = start("""
        interrupt.LAST_SECONDS[signal.SIGINT] = 0.5
        try:
            ready()
            sleep(20)
        except KeyboardInterrupt:
            interrupt.exit_code()
        sleep(1)
        interrupt.raise_if_received()
        print("alive")
    """)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == "alive\n"


def test_ignored_signal_stays_ignored() -> None:
    process = start("ready()\nsleep(1)\nprint('alive')", ignoring=True)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == "alive\n"


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 60.0), (signal.SIGTERM, 1.5), (signal.SIGHUP, 1.5)])
def test_sigterm_leaves_little_time(number: signal.Signals, seconds: float) -> None:
    process = start("""
        try:
            ready()
            sleep(20)
        except KeyboardInterrupt:
            print(interrupt.seconds_to_close(60.0))
    """)
    process.send_signal(number)
    assert process.communicate(timeout=10)[0] == f"{seconds}\n"


def test_sigterm_that_a_library_answers_by_leaving_is_ours_afterwards() -> None:
    process = start("""
        try:
            with interrupt.deferred(), interrupt.foreign_sigterm_handler():
                signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
                ready()
                sleep(20)
        except KeyboardInterrupt:
            print(signal.getsignal(signal.SIGTERM).__name__, flush=True)
            sys.exit(interrupt.exit_code())
    """)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "_handle\n"
    assert process.returncode == 143


@pytest.mark.parametrize(("code", "printed"), [(1, "put away\n"), (143, "")])
def test_interrupted_process_leaves_at_once(code: int, printed: str) -> None:
    process = start(f"""
        import atexit
        atexit.register(print, "put away")
        ready()
        sys.stdin.read()  # what is printed with "ready" would be read with it
        interrupt.leave({code})
    """)
    assert process.communicate(timeout=10)[0] == printed
    assert process.returncode == code


class TestSignalsOfACall:
    """Tests that a signal ends a call from Python code in an orderly way, and that the process of the call
    continues."""

    def test_first_and_second_ctrl_c_raise_and_the_process_goes_on(self) -> None:
        process = start("""
            interrupt.LAST_SECONDS[signal.SIGINT] = 0.2
            try:
                with interrupt.signals_of_a_call():
                    try:
                        ready()
                        sleep(20)
                    except KeyboardInterrupt:
                        print("first", interrupt.is_received(), flush=True)
                        sleep(20)
            except KeyboardInterrupt:
                print("second", interrupt.is_received(), flush=True)
            sleep(0.5)
            print("alive")
        """)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "first True\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0] == "second False\nalive\n"
        assert process.returncode == 0

    def test_handlers_of_the_caller_come_back_and_get_the_sigterm(self) -> None:
        process = start("""
            signal.signal(signal.SIGTERM, lambda number, frame: print("caller's", flush=True))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                with interrupt.signals_of_a_call():
                    ready()
                    sleep(20)
            except KeyboardInterrupt:
                print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
        """)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[0] == "caller's\nTrue\n"

    def test_sigterm_that_nobody_handles_ends_the_process_after_the_orderly_end(self) -> None:
        process = start("""
            for number in interrupt.SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            with interrupt.signals_of_a_call():
                try:
                    ready()
                    sleep(20)
                finally:
                    print("in order", flush=True)
        """)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[0] == "in order\n"
        assert process.returncode == -signal.SIGTERM

    def test_error_that_a_signal_caused_is_an_interruption(self) -> None:
        process = start("""
            try:
                with interrupt.signals_of_a_call():
                    try:
                        ready()
                        sleep(20)
                    except KeyboardInterrupt:
                        raise RuntimeError("broken connection")
            except KeyboardInterrupt as error:
                print(repr(error.__cause__))
        """)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0] == "RuntimeError('broken connection')\n"

    def test_other_errors_stay_what_they_are(self) -> None:
        with pytest.raises(RuntimeError, match="mine"), signals_of_a_call():
            raise RuntimeError("mine")
