"""Labelled images to simulate on: decoded once per machine, memory-mapped, shared by all trials.

A new dataset is one new file here: a class registered with `@datasets("name")` that can `inspect` and `load`. It takes
keyword-only arguments; raycal fills in `seed` and `image_size`, all others are options of the YAML. This package knows
nothing of models, experiments or Ray; what it decodes with is imported when it is used.
"""

import pkgutil
from importlib import import_module

from raycal.data.image_dataset import Dataset, DatasetInfo, ImageDataset, datasets

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Dataset", "DatasetInfo", "ImageDataset", "datasets"]
