"""Experts: who answers. The only holders of the pool's true labels.

A new one is one class in one file here: `@experts("name")` on a class `(true_labels, *, options)` with `label_samples`,
`label_cluster` and `truth`. Experts that err draw from the generator they are given. An option of type `OtherExpert` is
an expert itself, so that one way of erring can be put around another.

Each option says which answers it can change: `Annotated[int, CLUSTER_ANSWERS]`, `SAMPLE_ANSWERS` or `ALL_ANSWERS`. An
experiment that asks for no such answer has the same id whatever the option is. An option of type `OtherExpert` needs no
mark, as the options inside have theirs; if label_samples() asks the other expert for clusters, it needs `ALL_ANSWERS`.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.expert.answers import (
    ALL_ANSWERS,
    CLUSTER_ANSWERS,
    SAMPLE_ANSWERS,
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
    "ALL_ANSWERS",
    "CLUSTER_ANSWERS",
    "SAMPLE_ANSWERS",
    "SECONDS_PER_IMAGE",
    "Cluster",
    "ClusterAnswer",
    "Expert",
    "Oracle",
    "SampleAnswers",
    "cluster_answer",
    "experts",
]
