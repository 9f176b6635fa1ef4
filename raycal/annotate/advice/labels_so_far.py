"""The labels that a project has so far, as a dataset of vectors on which an experiment can be simulated."""

import io
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data import LoadedDataset
from raycal.errors import InputError
from raycal.export.labels import LabelSet

# With fewer labels than this, a simulation says little about a project.
FEWEST_LABELS, FEWEST_HOLDOUT = 100, 30
# More labels than this are not used, so that a simulation takes minutes. They are drawn at random.
MOST_LABELS = 2000
VECTORS_FILE = "labels.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LabelsSoFar:
    """The labeled samples of a project.

    Attributes:
        rows: (n,) int64, the rows of the samples in the dataset, those of the pool first, each part ascending.
        labels: (n,) int64, the labels, numbered from 0 without gaps.
        num_pool: The number of samples of the pool. The others belong to the hold-out.
        share_of_pool: The share of all samples of the pool that have a label and are used here.
    """

    rows: Indices
    labels: Labels
    num_pool: int
    share_of_pool: float

    @property
    def num_holdout(self) -> int:
        """The number of samples of the hold-out."""
        return len(self.rows) - self.num_pool

    @property
    def guessing(self) -> float:
        """The accuracy on the hold-out of the best constant guess."""
        held_out = self.labels[self.num_pool :]
        return float(np.bincount(held_out).max() / len(held_out))

    def npz(self, vectors: Floats) -> bytes:
        """The samples as an `.npz` file for the dataset `embeddings`.

        Args:
            vectors: (n, D) The vector of each sample.
        """
        is_pool = np.arange(len(self.rows)) < self.num_pool
        content = io.BytesIO()
        np.savez(content, vectors=vectors, label=self.labels, split=np.where(is_pool, "train", "test"))
        return content.getvalue()


def labels_so_far(project: str, samples: LoadedDataset, labels: LabelSet) -> LabelsSoFar:
    """Collect the labels of a project.

    Args:
        project: The name of the project, for messages.
        samples: The samples, with the labels of the hold-out.
        labels: The labels of the pool, as an export decides on them.

    Raises:
        InputError: There are too few labels for a simulation, or all of them are of one class.
    """
    pool = _some({image.row: image.label for image in labels.pool})
    known = samples.test_labels >= 0
    held_out = _some(dict(zip(samples.test_rows[known].tolist(), samples.test_labels[known].tolist(), strict=True)))
    needs = (
        (len(pool), FEWEST_LABELS, f"labeled {samples.noun}s"),
        (len(held_out), FEWEST_HOLDOUT, f"labeled {samples.noun}s of the hold-out"),
        (len({*pool.values()}), 2, "classes"),
    )
    lacking = [f"at least {least} {what}, and has {number:,}" for number, least, what in needs if number < least]
    if lacking:
        raise InputError(f"{project}: for advice, the project needs " + ", ".join(lacking))
    rows = np.array([*sorted(pool), *sorted(held_out)], np.int64)
    _, numbered = np.unique([(pool | held_out)[row] for row in rows.tolist()], return_inverse=True)
    return LabelsSoFar(
        rows=rows,
        labels=numbered.astype(np.int64),
        num_pool=len(pool),
        share_of_pool=len(pool) / samples.num_train,
    )


def _some(labels: dict[int, int]) -> dict[int, int]:
    """At most `MOST_LABELS` of the labels, drawn at random, always in the same way."""
    if len(labels) <= MOST_LABELS:
        return labels
    rows = np.random.default_rng(0).choice(sorted(labels), MOST_LABELS, replace=False)
    return {row: labels[row] for row in rows.tolist()}


def scaled(vectors: Floats) -> Floats:
    """The vectors with a mean of zero and a standard deviation of one in every dimension that varies.

    Args:
        vectors: (n, D).
    """
    spread = vectors.std(axis=0)
    result: Floats = ((vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return result
