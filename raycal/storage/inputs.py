"""The inputs of a sweep's trials: the images with their labels, and the weights.

The inputs are recorded beside the plan when a sweep is started. A sweep that continues later, elsewhere or on another
node therefore reads the same inputs, and trials on different data are never averaged.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from raycal.data.content import DIGEST_BYTES
from raycal.data.manifest import Manifest, ManifestDigests, differences
from raycal.errors import InputError
from raycal.plugins import Plugin
from raycal.storage.folder import Folder
from raycal.storage.parquet import parquet_of, table_of
from raycal.storage.seal import seal, unseal

RECORD, MANIFESTS, SOURCES = "inputs.json", "inputs", "plugins"
SHORT_DIGEST = 12
ADVICE = "put back the earlier inputs, or give the sweep another name or --storage"
SCHEMA = pa.schema([("name", pa.string()), ("class", pa.string()), ("digest", pa.binary(DIGEST_BYTES))])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedInputs:
    """The inputs that one trial must read.

    Attributes:
        content: The content digest that `Dataset.load` accepts. None for a dataset without one file per image.
        train: Digest of the training pool.
        test: Digest of the test split.
        weights: Digest of the initial weights. None if there are no weights.
        features: Digest of the weights of a separate feature model. None if there are no such weights.
    """

    content: str | None
    train: str
    test: str
    weights: str | None
    features: str | None = None

    def check(self, manifest: Manifest, weights: str | None, features: str | None = None) -> None:
        """Refuse data and weights other than the expected ones.

        Raises:
            InputError: The trial read other inputs, because they differ on this node or have changed since the sweep
                was started.
        """
        problems = []
        if (manifest.digest.train, manifest.digest.test) != (self.train, self.test):
            problems.append("the images or their labels on this node differ from those that the sweep was started with")
        if weights != self.weights:
            problems.append("the weights on this node differ from those that the sweep was started with")
        if features != self.features:
            problems.append("the weights of `features` on this node differ from those that the sweep was started with")
        if problems:
            raise InputError(*(f"{problem}; restore the original ones" for problem in problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """One dataset in one split, as it was read.

    Attributes:
        family: A text that is the same for all splits of the same images.
        title: The dataset's name for a person.
        manifest: The images and labels that were read.
    """

    family: str
    title: str
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of all experiments of a sweep.

    Attributes:
        datasets: The datasets, by the key of `build.dataset_key`.
        weights: The digests of weights, by the key of `build.weights_key`.
        plugins: The version and digest of each plug-in, by name.
    """

    datasets: Mapping[str, DatasetInput] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_others(self, others: "Inputs") -> "Inputs":
        """These inputs, followed by others."""
        return Inputs(
            datasets={**self.datasets, **others.datasets},
            weights={**self.weights, **others.weights},
            plugins={**self.plugins, **others.plugins},
        )

    def expected(self, dataset: str, weights: str, features: str | None = None) -> ExpectedInputs | None:
        """The inputs that a trial with this dataset and these weights must read. None when its dataset is not known.

        Args:
            dataset: The key of the dataset.
            weights: The key of the weights.
            features: The key of the weights of a separate feature model. None if there is none.
        """
        entry = self.datasets.get(dataset)
        if entry is None:
            return None
        digest = entry.manifest.digest
        return ExpectedInputs(
            content=entry.manifest.content,
            train=digest.train,
            test=digest.test,
            weights=self.weights.get(weights),
            features=None if features is None else self.weights.get(features),
        )


def keep_sources(plugins: Iterable[Plugin], folder: Folder) -> None:
    """Keep the source of each plug-in that is given by its path, in the sweep's folder under `plugins/<digest>`.

    Nothing is imported from this folder. The sources are kept for a person who wants to restore the plug-ins with which
    the sweep was started.
    """
    for plugin in plugins:
        kept = folder.folder(f"{SOURCES}/{plugin.digest[:SHORT_DIGEST]}")
        for name, content in plugin.files.items():
            if not kept.exists(name):
                kept.write(name, content)


class RecordedInputs(NamedTuple):
    """The inputs that a sweep has recorded.

    Attributes:
        families: The `DatasetInput.family` of its datasets.
        weights: The keys of its weights, as in `Inputs.weights`.
    """

    families: frozenset[str]
    weights: frozenset[str]


class InputRecord:
    """`inputs.json` and the folder `inputs` of a sweep.

    Raises:
        OSError: Raised by every method if the storage does not answer or refuses access.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder, self._manifests = folder, folder.folder(MANIFESTS)

    def recorded(self) -> RecordedInputs:
        """The recorded inputs with which other inputs can be compared."""
        record = self._read()
        families = frozenset(one["family"] for one in record["datasets"].values())
        return RecordedInputs(families=families, weights=frozenset(record["weights"]))

    def check(self, inputs: Inputs) -> None:
        """Refuse inputs that differ from the inputs that the sweep has read before.

        Raises:
            InputError: Images or weights differ; the lines name them.
        """
        record = self._read()
        problems = [
            f"{weights}: these weights changed since the sweep was started; {ADVICE}"
            for weights, digest in inputs.weights.items()
            if record["weights"].get(weights, digest) != digest
        ]
        titles: dict[str, str] = {}
        for key, current in inputs.datasets.items():
            if changed := self._changed(record["datasets"], key, current):
                titles.setdefault(
                    current.family,
                    f"{current.title}: the data changed since the sweep was started: {changed}",
                )
        problems += [f"{problem}; {ADVICE}" for problem in titles.values()]
        if problems:
            raise InputError(*problems)

    def add(self, inputs: Inputs) -> None:
        """Record inputs in addition to the inputs that are already recorded."""
        record = self._read()
        known = json.dumps(record, sort_keys=True)
        for key, current in inputs.datasets.items():
            name = f"{current.manifest.digest.images}.parquet"
            if not self._manifests.exists(name):
                self._manifests.write(name, _to_parquet(current.manifest))
            record["datasets"][key] = {
                "family": current.family,
                "num_listed": current.manifest.num_listed,
                "content": current.manifest.content,
                **current.manifest.digest._asdict(),
            }
        record["weights"] |= inputs.weights
        if inputs.plugins:
            record["plugins"] = record.get("plugins", {}) | dict(inputs.plugins)
        if json.dumps(record, sort_keys=True) != known:
            self._folder.write(RECORD, seal(record, indent=1))

    def _changed(self, recorded: Mapping[str, Any], key: str, current: DatasetInput) -> str:
        """A description of what changed since the dataset was recorded; empty if nothing changed. If this split was
        never recorded, it is compared with a recorded split of the same images."""
        same = recorded.get(key)
        if same is not None and (same["train"], same["test"]) == current.manifest.digest[:2]:
            return ""
        for other in [same] if same is not None else self._others(recorded, current):
            if words := differences(self._load(other), current.manifest):
                return "; ".join(words)
        return "the images are split in another way" if same is not None else ""

    def _others(self, recorded: Mapping[str, Any], current: DatasetInput) -> Iterator[Mapping[str, Any]]:
        return (one for one in recorded.values() if one["family"] == current.family)

    def _load(self, record: Mapping[str, Any]) -> Manifest:
        """The manifest of a recorded dataset; it has no images if its file is missing."""
        content = self._manifests.read(f"{record['images']}.parquet")
        table = SCHEMA.empty_table() if content is None else table_of(content, SCHEMA)
        digests = b"".join(table["digest"].to_pylist())
        return Manifest(
            names=tuple(table["name"].to_pylist()),
            classes=tuple(table["class"].to_pylist()),
            digests=np.frombuffer(digests, np.uint8).reshape(table.num_rows, DIGEST_BYTES),
            num_listed=record["num_listed"],
            content=record["content"],
            digest=ManifestDigests(**{key: record[key] for key in ManifestDigests._fields}),
        )

    def _read(self) -> dict[str, Any]:
        """The record; empty before the first start, or if an earlier version of raycal started the sweep."""
        content = self._folder.read(RECORD)
        if content is None:
            return {"datasets": {}, "weights": {}}
        try:
            record = unseal(content)
            if not all(isinstance(record[key], dict) for key in ("datasets", "weights")):
                raise ValueError("it has no datasets or no weights")
        except (ValueError, KeyError, RecursionError) as error:
            place = f"{self._folder.place}/{RECORD}"
            raise InputError(f"{place}: damaged: {error}; restore an intact copy") from error
        return record


def _to_parquet(manifest: Manifest) -> bytes:
    digests = [digest.tobytes() for digest in manifest.digests]
    columns = {"name": list(manifest.names), "class": list(manifest.classes), "digest": digests}
    return parquet_of(pa.table(columns, schema=SCHEMA))
