"""The errors that a user can encounter. Each message is one line: what is wrong, where, and what would be right."""

from collections.abc import Sequence


class RaycalError(Exception):
    """A mistake or a condition that the user can fix; it is shown without a traceback."""


class InputError(RaycalError):
    """The input of the user cannot be used; the command ends with exit code 2 before anything starts.

    Args:
        problems: All problems that could be found, one line each.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = tuple(map(printable, problems))
        super().__init__("\n".join(self.problems))


class InfrastructureError(RaycalError):
    """A process or node died. The experiment did not cause the death, so it is tried again from its last iteration."""


class TakenOverError(InfrastructureError):
    """Another process has started the same sweep and taken over its folder, so this process must stop writing and
    end."""


class StorageError(InfrastructureError, OSError):
    """A remote file system does not answer, or refuses access. The files on it are intact, so a later start can
    continue."""


class DivergedError(RaycalError):
    """Training produced numbers that are not finite; the experiment fails, and the other experiments continue."""


class ShortOfMemoryError(RaycalError):
    """The settings of the experiment need more memory than there is. The experiment fails, and the other experiments
    continue."""


class ExperimentFailedError(RaycalError):
    """A single experiment that Python code ran has failed; its folder keeps the record.

    Args:
        experiment_id: The id of the experiment.
        reason: The phase in which it failed, and the error. The whole traceback is included, except for an error that
            the user can fix.
        folder: The folder of the experiment.
    """

    def __init__(self, experiment_id: str, reason: str, folder: str) -> None:
        self.experiment_id, self.reason, self.folder = experiment_id, reason, folder
        super().__init__(f"{experiment_id} failed: {reason}\n{folder}")


class StoppedError(RaycalError):
    """The experiment was told to stop. It has neither failed nor finished."""


def one_line(error: object) -> str:
    """The message of an error, without line breaks."""
    return " ".join(str(error).split())


def shortened(text: str, most: int) -> str:
    """The text, shortened to at most this many characters. It is cut after a whole word, and an ellipsis is added."""
    if len(text) <= most:
        return text
    kept = text[:most]
    whole, space, _ = kept.rpartition(" ")
    # A single long word, such as a URL, is cut in the middle because there is no better place.
    return f"{(whole if space and len(whole) > most // 2 else kept[:-1]).rstrip(' ,;:(')}…"


def first_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` names of a list, and the number of the names left out."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return separator.join([*names[:most], *more])


def printable(line: str) -> str:
    """The line, in which every character that would break the line or control the terminal is escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural, as in `1 trial` and `2 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
