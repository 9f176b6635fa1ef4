"""Makes views from arrays, as the loop makes them for acquisition functions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition import AnnotatedSamples, HeadWeights, QueryContext
from raycal.algorithm.records import Floats, Predictions


def floats(values: Any) -> Floats:
    """The values as a read-only array, as arrays from Ray's object store are."""
    array = np.array(values, np.float32)
    array.flags.writeable = False
    return array


def view(
    *,
    probs: Any = None,
    embeddings: Any = None,
    annotated: Any = (),
    labels: Sequence[int] | None = None,
    weights: Any = None,
    members: Sequence[Any] = (),
    seed: int = 0,
) -> QueryContext:
    """A view of the samples 10, 13, 16 and so on. Arguments that are left out get equal values, or values that raise an
    error when they are read."""
    num_samples = len(probs if probs is not None else embeddings)
    probs = floats([[0.5, 0.5]] * num_samples if probs is None else probs)
    embeddings = floats(np.zeros((num_samples, 2)) if embeddings is None else embeddings)
    annotated_embeddings = floats(annotated).reshape(-1, embeddings.shape[1])
    given = np.zeros(len(annotated_embeddings), np.int64) if labels is None else np.array(labels, np.int64)

    def some_members(count: int) -> Floats:
        assert len(members) == count
        return floats(members)

    def head() -> HeadWeights:
        assert weights is not None
        return HeadWeights(weights=floats(weights), bias=floats(np.zeros(len(weights))))

    indices: npt.NDArray[np.int64] = 3 * np.arange(num_samples) + 10
    indices.flags.writeable = False
    return QueryContext(
        predictions=Predictions(indices=indices, probs=probs, embeddings=embeddings),
        rng=np.random.default_rng(seed),
        annotated=lambda: AnnotatedSamples(embeddings=annotated_embeddings, labels=given),
        head=head,
        members=some_members,
    )


def rows(indices: npt.NDArray[np.int64]) -> list[int]:
    """The rows of a `view` that belong to the indices."""
    assert ((indices - 10) % 3 == 0).all()
    found: list[int] = ((indices - 10) // 3).tolist()
    return found
