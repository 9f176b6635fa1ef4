"""Losses for training, including losses that are designed for partly wrong labels.

A new loss is one decorated function in one file of this folder, or in a plug-in: decorate a function `(num_samples, *,
options) -> loss`, which is called again for every training, with `@losses("name")`. The names and options are needed in
processes that do not import torch, so each function imports torch in its body.
"""

import pkgutil
from importlib import import_module

from raycal.learner.losses.protocol import Loss, losses
from raycal.learner.losses.standard import cross_entropy

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Loss", "cross_entropy", "losses"]
