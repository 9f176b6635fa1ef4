"""The check of clusterings."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.records import Floats
from raycal.errors import DivergedError
from raycal.testing.common import (
    check_options,
    global_random_state_kept,
    other_global_random_state,
    warnings_are_errors,
    with_one_and_two_threads,
)
from raycal.testing.examples import example_embeddings, read_only


def check_clustering(name: str, /, **options: Any) -> None:
    """Check a clustering, which must give every sample an int64 id from 0 to num_clusters - 1.

    Equal seeds must give equal ids, whatever the number of threads and the global random state. Points far apart must
    be in different clusters. The clustering must not write to the embeddings. It must raise a `DivergedError` for
    embeddings that are not finite, which `raycal.algorithm.clustering.protocol.finite_points` does.
    """
    check_options(clusterings, name)
    what = f"clustering {name}"

    def cluster(embeddings: Floats, num_clusters: int, seed: int = 0) -> npt.NDArray[np.int64]:
        return np.asarray(clusterings[name](embeddings, num_clusters, seed, **options))

    for num_samples, num_clusters in ((1, 1), (2, 1), (2, 2), (40, 5), (40, 40), (600, 2)):
        _check_ids(cluster(example_embeddings(num_samples), num_clusters), num_samples, num_clusters, what)
    _check_ids(cluster(read_only(np.ones((20, 6), np.float32)), 4), 20, 4, f"{what}, samples that are all alike")
    for seed in (0, 2**31 - 1):
        first, second = (cluster(example_embeddings(40), 7, seed) for _ in range(2))
        assert np.array_equal(first, second), f"{what}: equal seeds give different ids"
    one, two = with_one_and_two_threads(lambda: cluster(example_embeddings(600), 9))
    assert np.array_equal(one, two), f"{what}: the ids depend on the number of threads"
    points = read_only(100 * np.eye(6, dtype=np.float32).repeat(10, axis=0) + example_embeddings(60))
    groups = cluster(points, 30).reshape(6, 10)
    in_groups = sum(len(set(group)) for group in groups.tolist())
    assert in_groups == len(set(groups.ravel().tolist())), f"{what}: points that are far apart share a cluster"
    embeddings = example_embeddings(40).copy()
    cluster(embeddings, 7)
    assert np.array_equal(embeddings, example_embeddings(40)), f"{what}: writes to the embeddings"
    with global_random_state_kept(what):
        before = cluster(example_embeddings(40), 7, 3)
    with other_global_random_state():
        after = cluster(example_embeddings(40), 7, 3)
    assert np.array_equal(before, after), f"{what}: the ids depend on the global random state"
    _check_refusals(cluster, what)


def _check_ids(ids: npt.NDArray[np.int64], num_samples: int, num_clusters: int, what: str) -> None:
    case = f"{what} ({num_samples} samples, {num_clusters} clusters)"
    assert ids.shape == (num_samples,), f"{case}: ids have the shape {ids.shape}"
    assert ids.dtype == np.int64, f"{case}: ids are {ids.dtype}, should be int64"
    assert 0 <= ids.min() <= ids.max() < num_clusters, f"{case}: ids range from {ids.min()} to {ids.max()}"


def _check_refusals(cluster: Callable[[Floats, int], Any], what: str) -> None:
    """Check that embeddings that are not finite are refused, with a message that contains their number and the first
    row."""
    for wrong in (np.nan, np.inf, -np.inf):
        for everywhere in (False, True):
            embeddings: Any = example_embeddings(40).copy()
            embeddings[slice(None) if everywhere else 7, 2] = wrong
            with warnings_are_errors():
                message = _diverged(lambda embeddings=embeddings: cluster(embeddings, 5))  # type: ignore[misc]
            count, row = (40, 0) if everywhere else (1, 7)
            assert message is not None, f"{what}: takes embeddings that hold {wrong}; begin with finite_points()"
            said = f"{count} of 40 embeddings" in message and f"first in row {row}" in message
            assert said, f"{what}: does not say how many embeddings hold {wrong} and where: {message}"
    embeddings = example_embeddings(40).astype(np.float64)
    embeddings[3, :2] = 1e300, -1e300
    with warnings_are_errors():
        message = _diverged(lambda: cluster(embeddings, 5))
    assert message is not None, f"{what}: takes embeddings that float32 cannot hold; begin with finite_points()"
    assert "row 3" in message, f"{what}: does not say where an embedding is that float32 cannot hold: {message}"


def _diverged(call: Callable[[], object]) -> str | None:
    """The message of the DivergedError that a call raises. None if the call raises no such error."""
    try:
        call()
    except DivergedError as error:
        return str(error)
    return None
