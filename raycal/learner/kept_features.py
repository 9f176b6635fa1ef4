"""What the initial network sees in pool and test split: computed once per node, kept on disk, for all trials.

Trials with the same images and backbone differ only in the head that is drawn for them, and the head needs no images.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats
from raycal.data import ImageDataset
from raycal.data.cache import cache_dir, cached_arrays, evict
from raycal.errors import InputError
from raycal.learner.weights import StateDict, weights_digest

logger = logging.getLogger(__name__)

FOLDER = "features"
# Of all that is kept, the least recently used goes first: eighty pools of 50,000 images.
KEPT_BYTES = 8 * 2**30
_ROWS_AT_ONCE = 1024


def kept_features(key: Mapping[str, object], compute: Callable[[], Floats]) -> Floats:
    """The features (n, D) under that key, read-only and memory-mapped.

    Where the cache cannot be written they are computed and kept in memory only.

    Args:
        key: All that their bits depend on.
        compute: Called when nobody has kept them; other processes that want the same wait meanwhile.
    """
    computed: list[Floats] = []

    def make(folder: Path) -> None:
        computed.append(compute())
        np.save(folder / "features.npy", computed[0])

    try:
        features: Floats = cached_arrays(key, make, folder=FOLDER)["features"]
    except InputError as error:
        logger.warning("%s: cannot keep the features of the pool here (%s)", cache_dir(), error.__cause__)
        return computed[0] if computed else compute()
    if computed:
        evict(FOLDER, keep_bytes=KEPT_BYTES)
    return features


def images_digest(dataset: ImageDataset, rows: npt.NDArray[np.int64]) -> str:
    """Of the images in these rows, in order."""
    digest = hashlib.sha256(str((len(rows), dataset.images.shape[1:])).encode())
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        digest.update(dataset.images[rows[begin : begin + _ROWS_AT_ONCE]].tobytes())
    return digest.hexdigest()


def backbone_digest(state: StateDict, head_prefix: str) -> str:
    """Of all weights but the head's, whose names begin like that."""
    return weights_digest({name: value for name, value in state.items() if not name.startswith(head_prefix)})
