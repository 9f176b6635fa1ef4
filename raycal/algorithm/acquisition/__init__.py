"""Acquisition functions, which choose the unlabeled samples that the expert is asked to label.

A new acquisition function is one decorated function in one file of this folder, or in a plug-in (`raycal.plugins`).
Decorate a function `(view, *, options) -> scores (U,)` with `@by_score("name")` to ask about the samples with the
highest scores. If the choice of a sample depends on the other samples chosen, decorate a function
`(view, budget, *, options) -> indices` with `@acquisitions("name")`. A step asks about the samples in the order of the
indices. Scores are not stored.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.acquisition.query_context import AnnotatedSamples, HeadWeights, QueryContext
from raycal.algorithm.acquisition.selection import Acquisition, Top, acquisitions, by_score, most_informative, top

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Acquisition",
    "AnnotatedSamples",
    "HeadWeights",
    "QueryContext",
    "Top",
    "acquisitions",
    "by_score",
    "most_informative",
    "top",
]
