"""Sets up standard output and standard error of a command line, so that printing never makes the command fail.

The reader of the output may stop (`| head`), the disk may be full, and the terminal may be closed or know only ASCII.
None of these events is a failure of the command: lines that cannot be written are dropped, the command continues, and
its exit code reports the result of its work. A reader that stops is not reported. Any other failure of standard output
is reported once on standard error, and vice versa. Characters that the terminal cannot display are written as escapes.
"""

import codecs
import errno
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn, TextIO

from raycal.errors import InputError
from raycal.signals import leave

INPUT_ERROR = 2  # The exit code for a mistake in the input.
STDIN, STDOUT, STDERR = 0, 1, 2
# Replacements for characters that raycal prints, for terminals that know only ASCII.
IN_ASCII = {"±": "+-", "…": "..."}
ESCAPE = "raycal-escape"


def run(main: Callable[..., int], *arguments: object, **options: object) -> NoReturn:
    """Run a command line with output that cannot fail, and end the process with its exit code.

    Args:
        main: Carries out the command line and returns the exit code. Without arguments, it reads `sys.argv`.
        arguments: Passed to `main`.
        options: Passed to `main`.
    """
    _use_utf8_file_names()
    protect_output()
    try:
        code = main(*arguments, **options)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        code = 128 + signal.SIGINT
    leave(code)


def exit_code_of(work: Callable[[], int], codes: Mapping[type[Exception], int] | None = None) -> int:
    """Do the work of a command, and return its exit code; for an expected error, print its message and no traceback.

    Args:
        work: Does the work and returns the exit code.
        codes: The exit codes of the expected errors, apart from `InputError`, which always has the exit code 2.
    """
    expected: dict[type[Exception], int] = {InputError: INPUT_ERROR, **(codes or {})}
    try:
        return work()
    except tuple(expected) as error:
        print(error, file=sys.stderr)
        return next(code for kind, code in expected.items() if isinstance(error, kind))


def protect_output() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams that write to the same files and never raise."""
    _open_closed_descriptors()
    sys.stdout = _protected(sys.stdout, STDOUT, other=STDERR)
    sys.stderr = _protected(sys.stderr, STDERR, other=STDOUT)


class _UnfailingFile(io.RawIOBase):
    """Writes to a file descriptor, and drops content that cannot be written.

    Args:
        descriptor: The descriptor to write to; it stays open.
        other: The descriptor on which the first failure is reported.
    """

    def __init__(self, descriptor: int, other: int) -> None:
        super().__init__()
        self.name = "<stdout>" if descriptor == STDOUT else "<stderr>"
        self._descriptor, self._other = descriptor, other
        self._is_reported = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        left = memoryview(content).cast("B")
        length = len(left)
        try:
            while left:
                left = left[self._write_some(left) :]
        except OSError as error:
            self._report(error)
        return length

    def _write_some(self, content: memoryview) -> int:
        try:
            return os.write(self._descriptor, content)
        except BlockingIOError:  # Another process made the pipe or the terminal non-blocking.
            select.select([], [self._descriptor], [])
            return 0

    def _report(self, error: OSError) -> None:
        """Report once, on the other stream, that lines are lost. A pipe that its reader closed is not reported."""
        if self._is_reported or error.errno == errno.EPIPE:
            return
        self._is_reported = True
        stream = "standard output" if self._descriptor == STDOUT else "standard error"
        line = (
            f"{stream} cannot be written ({error.strerror}): lines printed there are lost, but the command continues\n"
        )
        with suppress(OSError):
            os.write(self._other, line.encode())


def _protected(stream: TextIO | None, descriptor: int, *, other: int) -> TextIO:
    if stream is None:  # The descriptor was closed when Python started.
        return io.TextIOWrapper(io.BufferedWriter(_UnfailingFile(descriptor, other)), "utf-8", ESCAPE)
    if not isinstance(stream, io.TextIOWrapper):  # Other code has replaced the stream, to read what is printed.
        return stream
    with suppress(OSError):
        stream.flush()
    file = _UnfailingFile(descriptor, other)
    return io.TextIOWrapper(
        # With `python -u`, the output is unbuffered.
        file if stream.write_through else io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=ESCAPE if stream.errors in ("strict", "surrogateescape", "backslashreplace") else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _open_closed_descriptors() -> None:
    """Open the null device on the standard descriptors that were closed, for example by `>&-`.

    Otherwise the next file that is opened would get the free descriptor, and a library that prints would write into
    that file.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # `os.open` takes the lowest free number, which is this descriptor.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _use_utf8_file_names() -> None:
    """Restart this process in Python's UTF-8 mode if Python could only use ASCII file names.

    For example, `LC_ALL=C PYTHONUTF8=0` restricts file names to ASCII. The output keeps its encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or os.environ.get("PYTHONUTF8") == "1":
        return
    output = {} if sys.stdout is None else {"PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}
    with suppress(OSError):
        os.execve(sys.executable, sys.orig_argv, {**output, **os.environ, "PYTHONUTF8": "1"})


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that the encoding lacks. Characters in `IN_ASCII` are replaced by the text given there, and
    other characters by Python escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    signs = (IN_ASCII.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii") for sign in lacking)
    return "".join(signs), error.end


codecs.register_error(ESCAPE, _escape)
