"""Limits how often somebody may guess a token."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

# The number of wrong tokens that one address may send in a period before it has to wait.
WRONG_TOKENS = 10
WRONG_TOKEN_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class AttemptLimit:
    """Limits how many wrong tokens an address may send.

    Args:
        most: The number of wrong tokens in a period after which the address has to wait.
        seconds: The length of the period.
        now: A clock that never goes back.
    """

    def __init__(
        self,
        most: int = WRONG_TOKENS,
        seconds: float = WRONG_TOKEN_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._seconds, self._now = most, seconds, now
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """The seconds until the address may try again; 0 if it may try now."""
        attempts = self._attempts.get(address)
        if attempts is None or len(attempts) < self._most:
            return 0.0
        return max(0.0, attempts[0] + self._seconds - self._now())

    def count(self, address: str) -> None:
        """Count a wrong token of the address."""
        self._attempts.setdefault(address, deque(maxlen=self._most)).append(self._now())
        self._attempts.move_to_end(address)
        while len(self._attempts) > MAX_ADDRESSES:
            self._attempts.popitem(last=False)
