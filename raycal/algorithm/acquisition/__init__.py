"""Acquisition functions: which unlabelled samples the expert is asked for.

A new one is one decorated function in one file here, or in a plug-in (`raycal.plugins`). `@by_score("name")` on a
function `(view, *, options) -> scores (U,)`, higher = ask first; or, where what is asked for depends on what else is,
`@acquisitions("name")` on a function `(view, budget, *, options) -> indices`. A step asks for samples in the order
returned; scores are not kept.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.acquisition.selection import Acquisition, acquisitions, by_score, most_informative
from raycal.algorithm.acquisition.view import AnnotatedSamples, Head, View

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Acquisition", "AnnotatedSamples", "Head", "View", "acquisitions", "by_score", "most_informative"]
