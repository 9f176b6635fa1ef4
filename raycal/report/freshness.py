"""Whether the report in a folder is that of the runs as they are now."""

from raycal import __version__
from raycal.report.runs import Runs
from raycal.storage.folder import Folder
from raycal.storage.seal import digest_of

RECORD = ".runs.sha256"


def is_up_to_date(runs: Runs, folder: Folder) -> bool:
    """Whether this version of raycal wrote the whole report there, of the same runs."""
    return folder.read(RECORD) == _digest(runs)


def record(runs: Runs, folder: Folder) -> None:
    """The report of these runs is all there."""
    folder.write(RECORD, _digest(runs))


def _digest(runs: Runs) -> bytes:
    return digest_of(f"{__version__} {runs!r}".encode()).encode()
