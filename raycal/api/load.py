"""The labels and the model of a run as Python objects, the same ones that `raycal export` writes as files."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from raycal.api.wording import in_python_words
from raycal.config.people import asks_people
from raycal.data import ImageDataset, LoadedDataset, TextDataset, Texts, VectorDataset
from raycal.errors import InputError, counted
from raycal.export.evidence import PeopleRecord
from raycal.export.labels import collect
from raycal.export.model import last_learner
from raycal.export.source import Source, load_images, load_named_plugins, read_source
from raycal.export.tables import rows_of

if TYPE_CHECKING:
    from torch import nn

    from raycal.learner.learner import NetworkLearner

_COLUMNS = (
    "row",
    "source",
    "label",
    "how",
    "round",
    "interaction",
    "annotator",
    "split",
    "duplicate_of",
    "probability",
)


class LoadedRun:
    """The labels of a run, and its model. `load` returns such an object.

    Attributes:
        name: The name of the sweep and the id of the experiment, as in `birds/digits-random-s0-1a2b3c4d`.
        class_names: The names of the K classes, in the order of the model's outputs.
        settings: Every setting of the experiment by its dotted key, such as `training.epochs`.
    """

    def __init__(self, source: Source, samples: LoadedDataset) -> None:
        self.name, self.class_names = source.name, samples.class_names
        self.settings: dict[str, Any] = source.config.flat()
        self._source, self._samples = source, samples

    def __repr__(self) -> str:
        iterations = counted(len(self._source.results), "iteration")
        return f"<LoadedRun {self.name}: {iterations}, {len(self.class_names)} classes>"

    @property
    def labels(self) -> pd.DataFrame:
        """One row per labeled sample of the pool, then one per sample of the test split.

        The columns are `row` (in the dataset, from 0), `source` (the file, or `image 7` for row 7), `label` (the name
        of the class), `how` (`single`, `cluster`, or `given` with the dataset), `round` and `interaction` (of the
        ledger; <NA> for a label that was given), `annotator` (None in a simulation), `split` (`train` or `test`),
        `duplicate_of` (the sample with the same content that was labeled, or None) and `probability` (that the label is
        right; NaN in the test split). A sample that was labeled more than once has the label that
        `raycal.export.evidence` decides on.

        Example:
            >>> trial = raycal.read_sweep("runs/digits").experiment("random s0")
            >>> raycal.load(trial.folder).labels.groupby("split")["label"].count().to_dict()
            {'test': 20, 'train': 20}
        """
        return self._labels.copy()

    @cached_property
    def _labels(self) -> pd.DataFrame:
        people = PeopleRecord()
        found = collect(self._samples, people.evidence(self._source.interactions), people).images
        rows = rows_of(found, [one.source for one in found], self._samples)
        frame = pd.DataFrame([{"row": one.row, **row} for one, row in zip(found, rows, strict=True)], columns=_COLUMNS)
        return frame.astype({"round": "Int64", "interaction": "Int64"})

    @property
    def model(self) -> "nn.Module":
        """The network of the last finished iteration, on the device that trained it, in evaluation mode.

        It maps a batch that is prepared as in the run (for vectors: (n, D) float32) to logits (n, K). `predict`
        prepares the samples itself. If the run does not have its model any more, the first use trains the model again
        from the labels in the ledger.

        Example:
            >>> trial = raycal.read_sweep("runs/digits").experiment("random s0")
            >>> type(raycal.load(trial.folder).model).__name__
            'ResNet'
        """
        network: nn.Module = self._learner.extractor.network.eval()
        return network

    def predict(self, samples: npt.ArrayLike | Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the probability of each class for new samples.

        Args:
            samples: Images (n, H, W, 3) uint8, vectors (n, D), or a list of n texts, as the run's dataset has them.

        Returns:
            The probabilities (n, K) float32; column k is that of `class_names[k]`.

        Raises:
            InputError: The kind, shape or type of the samples differs from that of the run's dataset.

        Example:
            >>> trial = raycal.read_sweep("runs/digits").experiment("random s0")
            >>> black = np.zeros((2, 8, 8, 3), np.uint8)
            >>> raycal.load(trial.folder).predict(black).shape
            (2, 10)
        """
        if isinstance(self._samples, TextDataset):
            # An array of texts would cut off zero characters at their ends.
            given = samples.tolist() if isinstance(samples, np.ndarray) else samples
            if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(x, str) for x in given):
                raise InputError("samples: should be a list of texts")
            dataset: LoadedDataset = TextDataset(texts=Texts.of([str(x) for x in given]), **self._common(len(given)))
        else:
            dataset = self._like(np.asarray(samples))
        return self._learner.extractor.probs_of(dataset)

    @cached_property
    def _learner(self) -> "NetworkLearner":
        return last_learner(self._source, self._samples)[0]

    def _common(self, count: int) -> dict[str, Any]:
        """The fields that a dataset of new samples has, whatever their kind is."""
        return {
            "labels": np.full(count, -1),
            "train_rows": np.arange(count),
            "test_rows": np.arange(0),
            "class_names": self.class_names,
        }

    def _like(self, samples: npt.NDArray[Any]) -> LoadedDataset:
        """Images or vectors of a user as a dataset of the run's kind."""
        common = self._common(len(samples) if samples.ndim else 0)
        if isinstance(self._samples, ImageDataset):
            if samples.ndim != 4 or samples.shape[3] != 3 or samples.dtype != np.uint8:
                raise InputError(f"samples: should be images (n, H, W, 3) uint8, not {samples.shape} {samples.dtype}")
            return ImageDataset(images=samples, **common)
        if isinstance(self._samples, VectorDataset):
            if samples.ndim != 2 or samples.dtype.kind not in "fiub":
                raise InputError(f"samples: should be vectors (n, D), not {samples.shape} {samples.dtype}")
            vectors = samples.astype(np.float32)
            if not np.isfinite(vectors).all():
                raise InputError("samples: should be finite numbers")
            return VectorDataset(vectors=vectors, **common)
        raise InputError(f"samples: the model of this run cannot be used on {self._samples.kind} from Python yet")


def load(run: str | os.PathLike[str], *, plugins: Sequence[str] = ()) -> LoadedRun:
    """Load the labels and the model of a run, as `raycal export` would write them.

    The dataset of the run must still be there. Nothing is written, except for a model that had to be trained again,
    which is kept in the cache folder.

    Args:
        run: The folder of the run, `<storage>/<sweep name>/<id>`, or of a sweep with one run: a path or a URI.
        plugins: The paths or import names of the plug-ins that the run uses.

    Raises:
        InputError: There is no such run, it has not finished an iteration, or its dataset cannot be used.
        StorageError: The remote storage does not answer.

    Example:
        >>> trial = raycal.read_sweep("runs/digits").experiment("random s0")
        >>> raycal.load(trial.folder).class_names
        ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    with in_python_words():
        source = read_source(os.fspath(run))
        if asks_people(source.config):
            raise InputError(
                f"{run}: people label this run; export it with python -m raycal.annotate FILE --export DIR"
            )
        load_named_plugins(plugins, source.config)
        return LoadedRun(source, load_images(source.config)[0])
