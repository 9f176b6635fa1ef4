"""Tells the open pages that the state of the project has changed, by Server-Sent Events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from raycal.annotate.interfaces import Json
from raycal.annotate.tokens import Person

INTERVAL = 0.5
# A comment is sent after this many seconds without a change, so that a connection without a reader is noticed.
KEEP_ALIVE_SECONDS = 15.0
SESSION_CHECK_SECONDS = 1.0
ALIVE = b": alive\n\n"


class LiveState:
    """Sends the state to every open page, at the start and whenever it has changed, at most twice a second.

    A page that reads slowly misses states in between, but always gets the newest one.

    Args:
        read: The state for a person.
        count_changes: A number that grows whenever the state may have changed.
        interval: Seconds between two looks at the state.
        keep_alive: Seconds without a change after which a comment is sent.
    """

    def __init__(
        self,
        read: Callable[[Person], Awaitable[Json]],
        count_changes: Callable[[], Awaitable[int]],
        *,
        interval: float = INTERVAL,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._read, self._count_changes = read, count_changes
        self._interval, self._keep_alive = interval, keep_alive
        self.num_readers = 0
        self._changed = asyncio.Event()
        self._has_ended = False

    def end(self) -> None:
        """End all streams. This method must be called in the thread of the event loop."""
        self._has_ended = True
        self._changed.set()

    async def watch(self) -> None:
        """Look for changes until this task is cancelled."""
        num_seen = 0
        while True:
            await asyncio.sleep(self._interval)
            num_changes = await self._count_changes()
            if num_changes != num_seen:
                num_seen = num_changes
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()

    async def stream(self, person: Person, is_valid: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The messages for one page.

        Args:
            person: The person who reads the messages.
            is_valid: Whether the session of the person still exists. The stream ends when the session does.
        """
        self.num_readers += 1
        sent: str | None = None
        try:
            while not self._has_ended and is_valid():
                changed = self._changed
                text = _text(await self._read(person))
                yield ALIVE if text == sent else f"event: state\ndata: {text}\n\n".encode()
                sent = text
                await self._wait(changed, is_valid)
        finally:
            self.num_readers -= 1

    async def _wait(self, changed: asyncio.Event, is_valid: Callable[[], bool]) -> None:
        """Wait for a change, for the time of the next comment, or for the end of the session."""
        until = time.monotonic() + self._keep_alive
        while is_valid() and (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(changed.wait(), min(left, SESSION_CHECK_SECONDS))
            except TimeoutError:
                continue
            return


def _text(state: Json) -> str:
    """The state in one line of JSON."""
    return json.dumps(state, allow_nan=False)
