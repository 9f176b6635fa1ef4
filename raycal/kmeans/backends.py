"""Collects which library clustered on which kind of device, for the record of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_noted: ContextVar[set[str] | None] = ContextVar("backends", default=None)


def note(*backends: str) -> None:
    """Note what a clustering ran on, such as `Faiss on the CPU`; this has no effect outside a `noted` block."""
    backends_so_far = _noted.get()
    if backends_so_far is not None:
        backends_so_far.update(backends)


@contextmanager
def noted() -> Iterator[set[str]]:
    """Yield a set that collects what the clusterings inside the `with` block run on, if they use `raycal.kmeans`."""
    backends: set[str] = set()
    token = _noted.set(backends)
    try:
        yield backends
    finally:
        _noted.reset(token)
