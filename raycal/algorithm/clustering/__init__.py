"""Clusterings of the embeddings of the unlabeled samples.

A new clustering is one decorated function in one file of this folder: decorate a function
`(embeddings, num_clusters, seed, *, options) -> cluster ids (U,)` with `@clusterings("name")`. Faiss and torch are
imported only when a clustering that needs them runs.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.clustering.lloyd import kmeans
from raycal.algorithm.clustering.means import inertia
from raycal.algorithm.clustering.protocol import Clustering, clusterings

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Clustering", "clusterings", "inertia", "kmeans"]
