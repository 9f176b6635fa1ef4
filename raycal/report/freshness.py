"""Checks whether the report in a folder was written from the current state of the runs."""

from raycal import __version__
from raycal.report.runs import Runs
from raycal.storage.folder import Folder
from raycal.storage.seal import digest_of

RECORD = ".runs.sha256"


def is_up_to_date(runs: Runs, folder: Folder) -> bool:
    """Whether the folder has a complete report of these runs that this version of raycal wrote."""
    return folder.read(RECORD) == _digest(runs)


def record(runs: Runs, folder: Folder) -> None:
    """Record in the folder that its report of these runs is complete."""
    folder.write(RECORD, _digest(runs))


def _digest(runs: Runs) -> bytes:
    return digest_of(f"{__version__} {runs!r}".encode()).encode()
