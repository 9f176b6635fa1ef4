"""Decides which start of a sweep may write in its folder, which is the newest one. This works without locks, because
object stores have none."""

import json
import os
import socket
from typing import Self
from uuid import uuid4

from raycal.errors import TakenOverError
from raycal.storage.folder import Folder

OWNER = "owner.json"


class Lease:
    """A start of a sweep, which owns the folder until the next start takes it over.

    The lock of the folder keeps two starts apart. The owner record is read by processes that did not notice a new
    start: one that was suspended, or a worker on another node whose start was killed. It tells them that another start
    owns the folder now.

    Args:
        folder: The folder of the sweep.
        record: The text that this start has written to `owner.json`.
    """

    def __init__(self, folder: Folder, record: str) -> None:
        self._folder, self.record = folder, record

    @classmethod
    def take(cls, folder: Folder) -> Self:
        """Make a new owner of the folder; an earlier owner must not write any more."""
        start = {"epoch": _epoch(folder) + 1, "start": uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
        lease = cls(folder, json.dumps(start))
        folder.write(OWNER, lease.record.encode())
        return lease

    def check(self) -> None:
        """Check that this start still owns the folder; call it before writing.

        Raises:
            TakenOverError: The folder has another owner.
        """
        if self._folder.read(OWNER) != self.record.encode():
            raise TakenOverError(f"another start of this sweep owns {self._folder.place} now; this one has ended")


def has_lost_its_owner(folder: Folder) -> bool:
    """Whether the process that owns the folder is known to have ended: it ran on this machine, where it is no more."""
    try:
        owner = json.loads(folder.read(OWNER) or b"{}")
        if owner["host"] != socket.gethostname():
            return False
        os.kill(int(owner["pid"]), 0)  # signal 0 only asks whether the process exists
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError, KeyError, TypeError):  # another user's process, or a damaged record
        return False
    return False


def _epoch(folder: Folder) -> int:
    """The number of times that the folder was taken, as far as it is known."""
    try:
        return int(json.loads(folder.read(OWNER) or b"{}").get("epoch", 0))
    except (ValueError, AttributeError, TypeError):  # damaged; the id in `start` also distinguishes starts
        return 0
