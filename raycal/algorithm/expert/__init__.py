"""Experts: who answers. The only holders of the pool's true labels.

A new one is one class in one file here: `@experts("name")` on a class `(true_labels, *, options)` with `label_samples`,
`label_cluster` and `truth`. Experts that err draw from the generator they are given. An option of type `OtherExpert` is
an expert itself, so that one way of erring can be put around another.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.expert.answers import (
    Cluster,
    ClusterAnswer,
    Expert,
    SampleAnswers,
    cluster_answer,
    experts,
)
from raycal.algorithm.expert.oracle import SECONDS_PER_IMAGE, Oracle

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "SECONDS_PER_IMAGE",
    "Cluster",
    "ClusterAnswer",
    "Expert",
    "Oracle",
    "SampleAnswers",
    "cluster_answer",
    "experts",
]
