"""The file of a finished iteration that says how a model without the labels of D^L classifies its samples.

Only projects that people label have these files, and only if the last layer alone is trained. No page gets them.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raycal.storage.checkpoints import by_iteration, iteration_name
from raycal.storage.folder import Folder
from raycal.storage.parquet import arrays_of, parquet_of

OUT_OF_FOLD = "people/out_of_fold"
_SCHEMA = pa.schema(
    [
        ("sample", pa.int32()),
        ("label", pa.int32()),
        ("predicted", pa.int32()),
        ("of_predicted", pa.float32()),
        ("of_label", pa.float32()),
    ]
)

Integers = npt.NDArray[np.int32]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutOfFold:
    """What cross-validation predicts for samples of D^L: each prediction is by a model that has not seen the label.

    Attributes:
        sample: (M,) The samples of the pool, ascending.
        label: (M,) The labels that they had in this iteration.
        predicted: (M,) The most likely class of each sample.
        of_predicted: (M,) The probability of that class.
        of_label: (M,) The probability of the label.
    """

    sample: Integers
    label: Integers
    predicted: Integers
    of_predicted: Probabilities
    of_label: Probabilities


def out_of_fold_name(iteration: int) -> str:
    """The name of the file of an iteration in the folder `people/out_of_fold`."""
    return f"{iteration_name(iteration)}.parquet"


def out_of_fold_file(predictions: OutOfFold) -> bytes:
    """The predictions as a Parquet file; the same predictions give the same bytes."""
    columns = {field.name: getattr(predictions, field.name) for field in fields(OutOfFold)}
    return parquet_of(pa.table(columns, schema=_SCHEMA))


def newest_out_of_fold(run_folder: Folder) -> OutOfFold | None:
    """The predictions of the newest iteration that has any. None if there are none, or if the file is damaged.

    Earlier versions of raycal did not keep them.
    """
    folder = run_folder.folder(OUT_OF_FOLD)
    names = by_iteration(folder.names("iteration-*.parquet"))
    found = arrays_of(folder.read(names[-1]) if names else None, _SCHEMA)
    return None if found is None else OutOfFold(**found)
