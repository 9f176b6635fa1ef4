"""A clock that a test sets."""


class Clock:
    """A clock that stands still.

    Attributes:
        now: The time in seconds, which the test changes.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
