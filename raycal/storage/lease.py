"""Decides which process may write in the folder of a sweep: the one that started or resumed the sweep last. The
decision needs no locks, because object stores have none."""

import json
import os
import socket
from typing import Self
from uuid import uuid4

from raycal.errors import TakenOverError
from raycal.storage.folder import Folder

OWNER = "owner.json"


class Lease:
    """A process's ownership of a sweep folder, from its start of the sweep until the next start takes the folder over.

    The lock of the folder keeps two processes from running the sweep at once. The owner record is for processes that
    did not notice a new start: a process that was suspended, or a worker on another node whose driver was killed. The
    record tells such a process that another process owns the folder now.

    Args:
        folder: The folder of the sweep.
        record: The text that this process has written to `owner.json`.
    """

    def __init__(self, folder: Folder, record: str) -> None:
        self._folder, self.record = folder, record

    @classmethod
    def take(cls, folder: Folder) -> Self:
        """Take the folder over; an earlier owner must not write any more."""
        start = {"epoch": _epoch(folder) + 1, "start": uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
        lease = cls(folder, json.dumps(start))
        folder.write(OWNER, lease.record.encode())
        return lease

    def check(self) -> None:
        """Check that this process still owns the folder; call it before writing.

        Raises:
            TakenOverError: The folder has another owner.
        """
        if self._folder.read(OWNER) != self.record.encode():
            raise TakenOverError(f"another start of this sweep now owns {self._folder.place}; this process has ended")


def has_lost_its_owner(folder: Folder) -> bool:
    """Whether the owner of the folder is known to have ended: its process ran on this machine and no longer exists."""
    try:
        owner = json.loads(folder.read(OWNER) or b"{}")
        if owner["host"] != socket.gethostname():
            return False
        os.kill(int(owner["pid"]), 0)  # Signal 0 only asks whether the process exists.
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError, KeyError, TypeError):
        # The process belongs to another user, or the record is damaged.
        return False
    return False


def _epoch(folder: Folder) -> int:
    """The number of times that the folder was taken over, as far as this number is known."""
    try:
        return int(json.loads(folder.read(OWNER) or b"{}").get("epoch", 0))
    except (ValueError, AttributeError, TypeError):
        # The record is damaged, but the id in `start` still tells starts apart.
        return 0
