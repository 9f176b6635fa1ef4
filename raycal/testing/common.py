"""Checks for every kind of extension: its options can be read, it gives no warning, and it does not use the global
random state."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from raycal.registry import Registry


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Raise every warning in the block as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def global_random_state_kept(what: str) -> Iterator[None]:
    """Check that the block draws no number from numpy's global random state."""
    before = str(np.random.get_state())  # noqa: NPY002
    yield
    assert str(np.random.get_state()) == before, f"{what}: draws from numpy's global random state"  # noqa: NPY002


@contextmanager
def other_global_random_state() -> Iterator[None]:
    """Run the block with another global random state of numpy than outside of the block."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(123)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def with_one_and_two_threads(call: Callable[[], Any]) -> list[Any]:
    """The results of a call with one thread of Faiss and with two."""
    import faiss

    before, results = faiss.omp_get_max_threads(), []
    try:
        for threads in (1, 2):
            faiss.omp_set_num_threads(threads)
            results.append(call())
    finally:
        faiss.omp_set_num_threads(before)
    return results


def check_options(registry: Registry[Any], name: str) -> None:
    """Check that a sweep file can set the options of an extension; each option needs a readable annotation."""
    why = registry.refusal(name) or f"registered are {', '.join(registry.registered())}"
    assert name in registry, f"there is no {registry.kind} named {name!r}; {why}"
    for key, option in registry.options(name).items():
        assert option.annotation is not Any, f"{registry.kind} {name}: the option {key} has no type annotation"
