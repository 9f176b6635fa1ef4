"""The file of a finished iteration that holds what the model predicts for each test sample. Only projects that people
label have these files; with them, two iterations can be compared sample by sample."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raycal.storage.checkpoints import iteration_name
from raycal.storage.folder import Folder
from raycal.storage.parquet import arrays_of, parquet_of

PREDICTIONS = "people/predictions"
UNKNOWN = -1
_SCHEMA = pa.schema([("position", pa.int32()), ("predicted", pa.int32()), ("label", pa.int32())])

Classes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoldoutPredictions:
    """What a model predicts for the test samples.

    Attributes:
        predicted: (H,) The id of the predicted class of each test sample, by its position in the whole test split.
        labels: (H,) The label that the dataset has for the sample; `UNKNOWN` if people label the test split.
    """

    predicted: Classes
    labels: Classes


def predictions_name(iteration: int) -> str:
    """The name of the file of an iteration in the folder `people/predictions`."""
    return f"{iteration_name(iteration)}.parquet"


def to_parquet(predictions: HoldoutPredictions) -> bytes:
    """The predictions as a Parquet file; the same predictions give the same bytes."""
    columns = {
        "position": np.arange(len(predictions.predicted), dtype=np.int32),
        "predicted": predictions.predicted.astype(np.int32),
        "label": predictions.labels.astype(np.int32),
    }
    return parquet_of(pa.table(columns, schema=_SCHEMA))


def read_predictions(run_folder: Folder, iteration: int) -> HoldoutPredictions | None:
    """The predictions after an iteration. None if they were not kept, or if the file is damaged.

    Earlier versions of raycal did not keep predictions.
    """
    found = arrays_of(run_folder.folder(PREDICTIONS).read(predictions_name(iteration)), _SCHEMA)
    if found is None or not np.array_equal(found["position"], np.arange(len(found["position"]))):
        return None
    return HoldoutPredictions(predicted=found["predicted"], labels=found["label"])
