"""Embeddings of the pool and of the test split, computed by the initial backbone.

The embeddings are computed once per node and kept on disk for all trials. Trials with the same samples and the same
initial backbone can share them: before any training, such trials differ only in their random heads, and a head computes
its logits from embeddings alone.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from raycal.algorithm.records import Floats
from raycal.data.cache import cache_dir, cached_arrays, evict
from raycal.errors import InputError
from raycal.learner.weights import StateDict, weights_digest

logger = logging.getLogger(__name__)

# The names of the folder and of its file are older than the term embeddings; renaming them would lose every cache.
FOLDER = "features"
# The largest size of all entries together, about eighty pools of 50,000 images. The least recently used entries are
# removed first.
MAX_CACHE_BYTES = 8 * 2**30


def cached_embeddings(key: Mapping[str, object], compute: Callable[[], Floats]) -> Floats:
    """The embeddings (n, D) under a key, read-only and memory-mapped.

    If the cache cannot be written, the embeddings are computed and kept in memory only.

    Args:
        key: All values on which the bits of the embeddings depend.
        compute: Computes the embeddings. It is called if the embeddings are not in the cache yet. Meanwhile, other
            processes that need the same embeddings wait.
    """
    computed: list[Floats] = []

    def make(folder: Path) -> None:
        computed.append(compute())
        np.save(folder / "features.npy", computed[0])

    try:
        embeddings: Floats = cached_arrays(key, make, folder=FOLDER)["features"]
    except InputError as error:
        logger.warning("%s: cannot keep features on disk (%s)", cache_dir(), error.__cause__)
        return computed[0] if computed else compute()
    if computed:
        evict(FOLDER, keep_bytes=MAX_CACHE_BYTES)
    return embeddings


def backbone_digest(state: StateDict, head_prefix: str) -> str:
    """The digest of all weights except the weights of the head, whose names begin with `head_prefix`."""
    return weights_digest({name: value for name, value in state.items() if not name.startswith(head_prefix)})
