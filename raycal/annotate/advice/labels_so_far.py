"""The labels that a project has so far, as a dataset of vectors on which an experiment can be simulated."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.annotate.advice.imputation import impute
from raycal.data import LoadedDataset
from raycal.errors import InputError
from raycal.export.evidence import LabelOrigin
from raycal.export.labels import LabeledImage
from raycal.storage.predictions import UNKNOWN

# With fewer labels than this, a simulation says little about a project.
FEWEST_LABELS, FEWEST_HOLDOUT = 100, 50
# More samples of the pool, more labels and a larger hold-out than this are not used, so that a simulation takes
# minutes. They are drawn at random.
MOST_SAMPLES = 2000
VECTORS_FILE = "labels.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LabelsSoFar:
    """The samples of a project that a simulation needs, with the labels that they have so far.

    The simulated pool is a random part of the pool of the project, whether its samples have a label or not: otherwise
    it would lack the samples of clusters that people refused. Half of the hold-out measures the accuracy. The other
    half, and all samples that people labeled alone, tell which label a sample without one probably has; see
    `imputation`.

    Attributes:
        rows: (n,) int64, the rows of the samples in the dataset: those of the simulated pool first, then the other
            samples that have a label, and then those that measure the accuracy.
        labels: (n,) int64, the labels that people have given; `UNKNOWN` where they have given none.
        trusted: (n,) bool, whether a sample was labeled alone, and not in a cluster.
        num_pool: The number of samples of the simulated pool.
        num_measured: The number of samples that measure the accuracy.
        share_of_pool: The share of the pool of the project that the simulated pool has.
    """

    rows: Indices
    labels: Labels
    trusted: npt.NDArray[np.bool_]
    num_pool: int
    num_measured: int
    share_of_pool: float

    @property
    def num_trusted(self) -> int:
        """The number of samples from which the labels of others are taken."""
        return int(self.trusted[: -self.num_measured].sum())

    @property
    def guessing(self) -> float:
        """The accuracy of the best constant guess on the samples that measure the accuracy."""
        measured = self.labels[-self.num_measured :]
        return float(np.bincount(measured).max() / len(measured))

    def npz(self, vectors: Floats, class_names: Sequence[str]) -> bytes:
        """The simulated pool and the samples that measure the accuracy, as an `.npz` file for the dataset
        `embeddings`. A label is the name of its class, so that the output of the simulation names the classes.

        Args:
            vectors: (n, D) The vector of each sample.
            class_names: The names of the classes.
        """
        others = slice(None, -self.num_measured)  # what measures the accuracy must not tell the labels of the pool
        known = impute(vectors[others], self.labels[others], self.trusted[others])[: self.num_pool]
        labels = np.array(class_names)[[*known, *self.labels[-self.num_measured :]]]
        used = np.r_[: self.num_pool, len(self.rows) - self.num_measured : len(self.rows)]
        split = np.where(used < self.num_pool, "train", "test")
        content = io.BytesIO()
        np.savez(content, vectors=vectors[used], label=labels, split=split)
        return content.getvalue()


def labels_so_far(project: str, samples: LoadedDataset, labeled: Sequence[LabeledImage]) -> LabelsSoFar:
    """Collect the labels of a project.

    Args:
        project: The name of the project, for messages.
        samples: The samples, with the labels of the hold-out.
        labeled: The labeled samples of the pool, with the labels that an export decides on.

    Raises:
        InputError: There are too few labels for a simulation, or all of them are of one class.
    """
    given = {image.row: image.label for image in labeled}
    alone = {image.row for image in labeled if image.how is not LabelOrigin.CLUSTER}
    is_labeled = samples.test_labels >= 0
    held_out = dict(zip(samples.test_rows[is_labeled].tolist(), samples.test_labels[is_labeled].tolist(), strict=True))
    needs = (
        (len(given), FEWEST_LABELS, f"labeled {samples.noun}s"),
        (len(held_out), FEWEST_HOLDOUT, f"labeled {samples.noun}s of the hold-out"),
        (len({*given.values()}), 2, "classes"),
    )
    lacking = [f"at least {least} {what}, and has {number:,}" for number, least, what in needs if number < least]
    if lacking:
        raise InputError(f"{project}: for advice, the project needs " + ", ".join(lacking))
    pool, known = _some(samples.train_rows.tolist()), _some([*held_out])
    measured = sorted(known[::2])
    further = sorted({*known[1::2], *_some(sorted(alone))} - {*pool})
    rows = np.array([*sorted(pool), *further, *measured], np.int64)
    label_of = given | held_out
    return LabelsSoFar(
        rows=rows,
        labels=np.array([label_of.get(row, UNKNOWN) for row in rows.tolist()], np.int64),
        trusted=np.array([row in alone or row in held_out for row in rows.tolist()]),
        num_pool=len(pool),
        num_measured=len(measured),
        share_of_pool=len(pool) / samples.num_train,
    )


def _some(rows: list[int]) -> list[int]:
    """At most `MOST_SAMPLES` of the rows, in a random order, which is always the same."""
    order = np.random.default_rng(0).permutation(len(rows))[:MOST_SAMPLES]
    return [rows[at] for at in order]


def scaled(vectors: Floats) -> Floats:
    """The vectors with a mean of zero and a standard deviation of one in every dimension that varies.

    Args:
        vectors: (n, D).
    """
    spread = vectors.std(axis=0)
    result: Floats = ((vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return result
