"""Experts, which answer the questions about samples and clusters. Only experts hold the true labels of the pool.

A new expert is one class in one file of this folder: decorate a class `(true_labels, *, options)` that has the methods
`label_samples`, `label_cluster` and `truth` with `@experts("name")`. Experts that err draw their errors from the
generator that each method gets. An option of type `OtherExpert` is itself an expert, so that an expert with one kind of
error can wrap an expert with another kind.

Each option declares which answers it can change: `Annotated[int, CLUSTER_ANSWERS]`, `SAMPLE_ANSWERS` or `ALL_ANSWERS`.
If an experiment never asks for the answers that an option can change, the option's value does not change the
experiment's id. An option of type `OtherExpert` needs no mark, because the options of the wrapped expert have their own
marks. If label_samples() asks the wrapped expert about clusters, the option needs `ALL_ANSWERS`.
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
