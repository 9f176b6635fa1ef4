"""The errors a user can meet. Each message is one line: what, where, and what would be right."""

from collections.abc import Sequence


class RaycalError(Exception):
    """A mistake or a condition the user can mend; shown without a traceback."""


class InputError(RaycalError):
    """What the user gave cannot be used; the command ends with exit code 2 before anything starts.

    Args:
        problems: One line each; all problems that could be found at once.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = tuple(map(printable, problems))
        super().__init__("\n".join(self.problems))


class InfrastructureError(RaycalError):
    """A process or node died; not the experiment's fault, so whoever runs it tries again from the last iteration."""


class TakenOverError(InfrastructureError):
    """Another start of the sweep owns its folder: this one must not write there, and has nothing more to do."""


class StorageError(InfrastructureError, OSError):
    """A remote file system does not answer, or refuses; what it holds is whole, and a later start goes on from it."""


class DivergedError(RaycalError):
    """Training left the finite numbers: the experiment fails, its neighbours go on."""


class ShortOfMemoryError(RaycalError):
    """The experiment as it is set needs more memory than there is: it fails, its neighbours go on."""


class ExperimentFailedError(RaycalError):
    """An experiment that Python code ran by itself has failed; its folder keeps the record.

    Args:
        experiment_id: The experiment.
        reason: The phase it was in, and the error; of an error that is not the user's with the whole traceback.
        folder: The folder of the experiment.
    """

    def __init__(self, experiment_id: str, reason: str, folder: str) -> None:
        self.experiment_id, self.reason, self.folder = experiment_id, reason, folder
        super().__init__(f"{experiment_id} failed: {reason}\n{folder}")


class StoppedError(RaycalError):
    """The experiment is not to go on: no failure, and not finished either."""


def one_line(error: object) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())


def shortened(text: str, most: int) -> str:
    """The text, or what fits of it into so many characters, cut after a whole word and with an ellipsis behind it."""
    if len(text) <= most:
        return text
    kept = text[:most]
    whole, space, _ = kept.rpartition(" ")
    # A single long word, such as a URL, has no better place to be cut.
    return f"{(whole if space and len(whole) > most // 2 else kept[:-1]).rstrip(' ,;:(')}…"


def first_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first names of a list, and how many more there are."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return separator.join([*names[:most], *more])


def printable(line: str) -> str:
    """The line with all that would break it or colour the terminal escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
