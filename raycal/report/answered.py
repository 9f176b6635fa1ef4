"""The runs of a sweep whose trials have ended, and the answer to its question."""

from collections.abc import Sequence
from functools import cached_property

from raycal.report.runs import Runs, read_runs
from raycal.report.stats.answer import Answer, answers
from raycal.storage.folder import Folder


class AnsweredSweep:
    """Reads the runs of a sweep and computes the sweep's answer once, at the first use, and keeps the runs and the
    answer for later uses.

    If the runs cannot be read, every use raises the error again.

    Args:
        folder: The folder of the sweep. Its runs must not change any more.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    @cached_property
    def runs(self) -> Runs:
        """The runs of the sweep.

        Raises:
            InputError: The folder is no sweep folder, or files of a run changed after the run had ended.
        """
        return read_runs(self._folder)

    @cached_property
    def answers(self) -> Sequence[Answer]:
        """The answer for each dataset of the sweep.

        Raises:
            InputError: The runs cannot be read.
        """
        return answers(self.runs)
