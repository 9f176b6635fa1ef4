"""The result of a check, and a time limit for checks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread

from raycal.errors import InputError, one_line, printable, shortened


class Status(StrEnum):
    """How serious a finding is; a sweep can run with warnings."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check, which the doctor prints as one line.

    Attributes:
        check: The name of the check.
        status: How serious the finding is.
        found: What the check found.
        fix: How to fix it; empty when all is well.
    """

    check: str
    status: Status
    found: str
    fix: str = ""

    def __str__(self) -> str:
        return printable(f"{self.status:<8} {self.check:<12} {'; '.join(filter(None, (self.found, self.fix)))}")


def ok(check: str, found: str) -> CheckResult:
    """A finding that reports no problem."""
    return CheckResult(check, Status.OK, found)


def warning(check: str, found: str, fix: str) -> CheckResult:
    """A finding that does not stop a sweep, but makes it slower or weaker."""
    return CheckResult(check, Status.WARNING, found, fix)


def problem(check: str, found: str, fix: str = "") -> CheckResult:
    """A finding that would stop every sweep."""
    return CheckResult(check, Status.PROBLEM, found, fix)


def within(check: str, seconds: float, probe: Callable[[], Iterable[CheckResult]]) -> list[CheckResult]:
    """Run a check with a time limit. A check that raises an exception or exceeds the limit is reported as a problem."""
    results: list[CheckResult] = []

    def look() -> None:
        try:
            results.extend(probe())
        except InputError as error:
            results.extend(problem(check, line) for line in error.problems)
        except Exception as error:  # Any exception is caught, because the doctor must report whatever is broken.
            results.append(problem(check, f"{type(error).__name__}: {shortened(one_line(error), 300)}"))

    thread = Thread(target=look, name=f"doctor-{check}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return [
            *results,
            problem(check, f"no answer within {seconds:g} s", "timed out: check that its target is reachable"),
        ]
    return results
