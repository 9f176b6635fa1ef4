"""Tells the open pages that the state of the project has changed, by Server-Sent Events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from raycal.annotate.gate import report
from raycal.annotate.interfaces import Json
from raycal.annotate.security import Person

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
        interval: Seconds between two looks at the state.
        keep_alive: Seconds without a change after which a comment is sent.
    """

    def __init__(
        self,
        read: Callable[[Person], Awaitable[Json]],
        *,
        interval: float = INTERVAL,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._read, self._interval, self._keep_alive = read, interval, keep_alive
        self._readers: dict[object, Person] = {}
        self._changed = asyncio.Event()
        self._last: str | None = None
        self._has_ended = False

    def end(self) -> None:
        """End all streams. Must be called in the thread of the event loop."""
        self._has_ended = True
        self._changed.set()

    async def watch(self) -> None:
        """Look for changes until this task is cancelled. Nothing is read while no page is open."""
        has_failed = False
        while True:
            await asyncio.sleep(self._interval)
            if not self._readers:
                continue
            try:
                seen = _text(await self._read(next(iter(self._readers.values()))), without=("who", "role"))
                has_failed = False
            except Exception as error:
                if not has_failed:  # once, and not twice a second
                    report(error, "reading the state")
                has_failed = True
                continue
            if seen != self._last:
                self._last = seen
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()

    async def stream(self, person: Person, is_valid: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The messages for one page.

        Args:
            person: Who reads them.
            is_valid: Whether the session of the person still exists; without it the stream ends.
        """
        reader = object()
        self._readers[reader] = person
        sent: str | None = None
        try:
            while not self._has_ended and is_valid():
                changed = self._changed
                text = _text(await self._read(person))
                yield ALIVE if text == sent else f"event: state\ndata: {text}\n\n".encode()
                sent = text
                await self._wait(changed, is_valid)
        finally:
            del self._readers[reader]

    async def _wait(self, changed: asyncio.Event, is_valid: Callable[[], bool]) -> None:
        """Wait for a change, for the time of the next comment, or for the end of the session."""
        until = time.monotonic() + self._keep_alive
        while is_valid() and (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(changed.wait(), min(left, SESSION_CHECK_SECONDS))
            except TimeoutError:
                continue
            return


def _text(state: Json, without: tuple[str, ...] = ()) -> str:
    """The state in one line of JSON."""
    kept = {key: value for key, value in state.items() if key not in without}
    return json.dumps(kept, ensure_ascii=False, allow_nan=False)
