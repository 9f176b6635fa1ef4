"""Loads the samples of an experiment, once per machine. All trials on the machine share them as memory-mapped arrays.

The samples of a dataset are images, vectors (such as embeddings) or texts; `raycal.data.loaded` has a class for each.

To add a dataset, add one file here with a class that is registered with `@datasets("name")` and has the methods
`inspect` and `load`. A class that loads vectors or texts says so with the class variable `kind`. The constructor takes
keyword-only arguments. raycal fills in `seed` and `image_size`; all other arguments are options in the YAML. A class
derived from `raycal.data.split.WithSubset` gets the options that make a dataset smaller. Every dataset with labels in
this package is derived from `WithSubset`, and the dataset of a plug-in may be, too.

`raycal.data.images` is the dataset without labels, and `raycal.data.pictures` makes the pictures that people see. This
package does not use models, experiments or Ray. The libraries that decode images are imported when they are used.
"""

import pkgutil
from importlib import import_module

from raycal.data.image_dataset import Dataset, DatasetInfo, datasets
from raycal.data.loaded import ImageDataset, LoadedDataset, TextDataset, Texts, VectorDataset

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Dataset",
    "DatasetInfo",
    "ImageDataset",
    "LoadedDataset",
    "TextDataset",
    "Texts",
    "VectorDataset",
    "datasets",
]
