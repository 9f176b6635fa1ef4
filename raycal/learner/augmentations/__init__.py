"""Random changes of the images that a network is trained on, by the names that a sweep file uses.

A new augmentation is one decorated class in one file of this folder, or in a plug-in: decorate a class whose fields are
its options with `@augmentations("name")`. The names and options are needed in processes that do not import torch, so
each class imports torch inside its methods.

Only images that the network is trained on are augmented, never the images that it scores. An augmentation changes
images at the size they are stored in, before they are resized for the network.
"""

import pkgutil
from importlib import import_module

from raycal.learner.augmentations.protocol import Augmentation, augmentations

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Augmentation", "augmentations"]
