"""Examples of the inputs of extensions, with read-only arrays of made-up numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition import AnnotatedSamples, HeadWeights, QueryContext
from raycal.algorithm.expert import Cluster
from raycal.algorithm.records import Floats, Indices, Predictions


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only, like arrays from Ray's object store, and return it."""
    array.flags.writeable = False
    return array


def example_view(
    num_samples: int,
    num_classes: int,
    num_annotated: int = 3,
    *,
    seed: int = 0,
    asked: set[str] | None = None,
) -> QueryContext:
    """An example of the input of an acquisition function, with read-only arrays of made-up numbers.

    The prediction for the first sample is certain of one class, and the class probabilities of the second sample are
    uniform. The samples have the indices 5, 8, 11, ...

    Args:
        num_samples: U, the number of samples that may be chosen.
        num_classes: K, the number of classes.
        num_annotated: Number of samples that already have a label.
        seed: Seed of the step's random stream.
        asked: A set to which the view adds `annotated`, `head` or `members` when the function uses this attribute.
    """
    rng = np.random.default_rng(3)
    annotated = AnnotatedSamples(
        embeddings=read_only(rng.random((num_annotated, 6), np.float32)),
        labels=read_only(rng.integers(num_classes, size=num_annotated)),
    )
    head = HeadWeights(
        weights=read_only(rng.random((num_classes, 6), np.float32)), bias=read_only(np.zeros(num_classes, np.float32))
    )
    others = rng.dirichlet(np.ones(num_classes), (20, num_samples)).astype(np.float32)

    def get(name: str, value: Any) -> Any:
        if asked is not None:
            asked.add(name)
        return value

    return QueryContext(
        predictions=_predictions(num_samples, num_classes),
        rng=np.random.default_rng(seed),
        annotated=lambda: get("annotated", annotated),
        head=lambda: get("head", head),
        members=lambda count: get("members", read_only(others[:count].copy())),
    )


def _predictions(num_samples: int, num_classes: int) -> Predictions:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(num_classes), num_samples).astype(np.float32)
    probs[0] = np.eye(num_classes)[0]
    probs[1:2] = 1 / num_classes
    return Predictions(
        indices=read_only(3 * np.arange(num_samples) + 5),
        probs=read_only(probs),
        embeddings=read_only(rng.random((num_samples, 6), np.float32)),
    )


def example_embeddings(num_samples: int) -> Floats:
    """Random embeddings (num_samples, 6), the same at every call."""
    points: Floats = read_only(np.random.default_rng(2).random((num_samples, 6), np.float32))
    return points


def example_cluster(indices: Indices) -> Cluster:
    """A cluster whose samples lie on a line, in the order of their indices."""
    return Cluster(
        indices=read_only(indices), embeddings=lambda: read_only(indices[:, None].astype(np.float32) * [[1, 2]])
    )
