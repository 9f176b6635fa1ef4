"""What a check found, and checks that end in time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread

from raycal.errors import InputError, one_line, printable, shortened


class Status(StrEnum):
    """How good what was found is; a sweep can run with warnings."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor.

    Attributes:
        check: What was looked at.
        found: What was seen.
        mend: What to do about it; empty when all is well.
    """

    check: str
    status: Status
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return printable(f"{self.status:<8} {self.check:<12} {'; '.join(filter(None, (self.found, self.mend)))}")


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Status.OK, found)


def warning(check: str, found: str, mend: str) -> Finding:
    """A sweep runs, but not as well as it could."""
    return Finding(check, Status.WARNING, found, mend)


def problem(check: str, found: str, mend: str = "") -> Finding:
    """No sweep would run."""
    return Finding(check, Status.PROBLEM, found, mend)


def within(check: str, seconds: float, probe: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a probe finds; what it raises, and that it does not end in time, are problems."""
    found: list[Finding] = []

    def look() -> None:
        try:
            found.extend(probe())
        except InputError as error:
            found.extend(problem(check, line) for line in error.problems)
        except Exception as error:  # a doctor has to tell of whatever is broken
            found.append(problem(check, f"{type(error).__name__}: {shortened(one_line(error), 300)}"))

    thread = Thread(target=look, name=f"doctor-{check}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return [*found, problem(check, f"no answer within {seconds:g} s", "it hangs; look at what it is to reach")]
    return found
