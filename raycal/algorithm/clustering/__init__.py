"""Clusterings of the unlabelled samples' embeddings.

A new one is one decorated function in one file here: `@clusterings("name")` on a function
`(embeddings, num_clusters, seed, *, options) -> cluster ids (U,)`. Faiss and torch are imported when a clustering that
needs them runs.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.clustering.lloyd import kmeans
from raycal.algorithm.clustering.means import inertia
from raycal.algorithm.clustering.protocol import Clustering, clusterings

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Clustering", "clusterings", "inertia", "kmeans"]
