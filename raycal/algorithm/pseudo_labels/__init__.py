"""Pseudo-labels: labels that the asking model gives for one training, at no human cost.

A new method is one decorated function in one file here: `@pseudo_labels("name")` on a function `(view, iteration, *,
options) -> PseudoLabels`. It is called after the human steps of an iteration and before the training; what it labelled
goes back to D^U with D^CL. Who gives the labels follows `ask_with`, as for the steps: the model trained in the previous
iteration, in iteration 0 the network with a freshly drawn head, of whose probabilities little is to be had.
"""

import pkgutil
from importlib import import_module

from raycal.algorithm.pseudo_labels.given import PseudoLabeling, PseudoLabels, pseudo_labels

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["PseudoLabeling", "PseudoLabels", "pseudo_labels"]
