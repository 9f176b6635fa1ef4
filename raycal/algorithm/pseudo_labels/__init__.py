"""Pseudo-labels, which the query model gives for one training at no human cost.

A new method is one decorated function in one file of this folder: decorate a function
`(view, iteration, *, options) -> PseudoLabels` with `@pseudo_labels("name")`. It is called after the annotation steps
of an iteration and before the training. After the training, the pseudo-labeled samples go back to D^U, as the samples
of D^CL do. The setting `ask_with` chooses the model that gives the labels, as it does for the annotation steps. By
default it is the model trained in the previous iteration. In iteration 0 this model is the network with a freshly drawn
head, whose probabilities carry little information.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.pseudo_labels.given import PseudoLabeling, PseudoLabels, pseudo_labels

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["PseudoLabeling", "PseudoLabels", "pseudo_labels"]
