"""What the initial network sees in the pool: computed once per node, kept on disk, shared by the trials of a sweep.

Trials with the same images and backbone differ only in the head that is drawn for them, and the head needs no images.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from raycal.algorithm.records import Floats
from raycal.data import ImageDataset
from raycal.data.cache import cache_dir, cached_arrays, evict
from raycal.errors import InputError
from raycal.learner.weights import StateDict

logger = logging.getLogger(__name__)

FOLDER = "features"
# Of all that is kept, the least recently used goes first: eighty pools of 50,000 images.
KEPT_BYTES = 8 * 2**30
_ROWS_AT_ONCE = 1024


def pool_features(key: Mapping[str, object], compute: Callable[[], Floats]) -> Floats:
    """The features (P, 512) under that key, read-only and memory-mapped.

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


def images_digest(dataset: ImageDataset) -> str:
    """Of the images of the pool, in order."""
    digest = hashlib.sha256(str((dataset.num_train, dataset.images.shape[1:])).encode())
    for begin in range(0, dataset.num_train, _ROWS_AT_ONCE):
        digest.update(dataset.images[dataset.train_rows[begin : begin + _ROWS_AT_ONCE]].tobytes())
    return digest.hexdigest()


def backbone_digest(state: StateDict) -> str:
    """Of all weights but the head's."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        if not name.startswith("fc."):
            digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()
