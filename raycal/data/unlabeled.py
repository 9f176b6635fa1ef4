"""Samples that have no labels yet, which people label while Algorithm 1 runs."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from raycal.algorithm.randomness import stream
from raycal.data.content import DIGEST_BYTES
from raycal.data.decode import Progress, ignore_progress
from raycal.data.image_dataset import Dataset, DatasetInfo
from raycal.data.loaded import LoadedDataset
from raycal.data.split import Rows
from raycal.errors import InputError
from raycal.registry import Kind

FORMAT_VERSION = 1
MOST_HELD_OUT, HELD_OUT_SHARE = 400, 5  # the default size of the hold-out: a fifth of the samples, but at most 400
FEWEST_SAMPLES = 2  # the pool and the hold-out need at least one sample each
_HEXADECIMAL = re.compile("[0-9a-f]*")

Loaded_co = TypeVar("Loaded_co", bound=LoadedDataset, covariant=True)


@dataclass(frozen=True, slots=True)
class SampleList:
    """The samples of a project in the order in which they are numbered.

    The list is made at the first start and kept by the caller. A later start that gets the list gives the same samples
    the same numbers, and appends the samples that were added since.

    Attributes:
        names: The names of the R samples, such as paths relative to the folder, with "/"; the position of a name is the
            sample's row.
        digests: The digest of each sample's content, in hexadecimal.
        holdout: The rows of the samples that are held out, in the order in which they were drawn. For every n, the
            first n of these rows are a simple random sample of all rows.
        kind: The kind of the samples, as a plural.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    holdout: tuple[int, ...]
    kind: Kind = "images"

    def splits(self) -> Rows:
        """The rows of the pool and those of the hold-out, ascending."""
        held_out = np.sort(np.array(self.holdout, np.int64))
        return Rows(np.setdiff1d(np.arange(len(self.names)), held_out), held_out)

    def to_json(self) -> bytes:
        """The list as JSON with one line for each sample; equal lists give equal bytes."""
        text = json.JSONEncoder().encode  # much faster than `json.dumps` for this many short texts
        rows = zip(map(text, self.names), map(text, self.digests), strict=True)
        samples = ",\n".join(f"[{name}, {digest}]" for name, digest in rows)
        holdout = json.dumps(self.holdout)
        return f'{{"format": {FORMAT_VERSION},\n"holdout": {holdout},\n"{self.kind}": [\n{samples}\n]}}\n'.encode()

    @classmethod
    def from_json(cls, content: bytes, place: str, *, kind: Kind = "images", anywhere: bool = False) -> "SampleList":
        """The list that `to_json` wrote.

        Args:
            content: The bytes.
            place: The file that the bytes are from, for error messages.
            kind: The kind of the samples.
            anywhere: Whether names may lead out of the folder, because a table has the same names.

        Raises:
            InputError: The bytes are not the JSON of a list of such samples.
        """
        try:
            read = json.loads(content)
            if read["format"] != FORMAT_VERSION:
                raise InputError(
                    f"{place}: has the format {read['format']!r}, which this version of raycal cannot read"
                )
            names, digests = zip(*read[kind], strict=True)
            found = cls(names, digests, tuple(read["holdout"]), kind)
            found._check(anywhere=anywhere)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{place}: is not a list of {kind} that raycal wrote; restore it from a copy") from error
        return found

    def _check(self, *, anywhere: bool) -> None:
        """Raise a `ValueError` if `to_json` cannot have written the list."""
        if not all(isinstance(name, str) and (anywhere or _stays_inside(name)) for name in self.names):
            raise ValueError("a name leads out of the folder")
        if {*map(len, self.digests)} != {2 * DIGEST_BYTES} or not _HEXADECIMAL.fullmatch("".join(self.digests)):
            raise ValueError("a digest has another length")
        if len(set(self.names)) < len(self.names) or len(set(self.holdout)) < len(self.holdout):
            raise ValueError("a sample is named twice")
        if not all(type(row) is int and 0 <= row < len(self.names) for row in self.holdout):
            raise ValueError("the hold-out has a row that is no sample")


class LoadedSamples(NamedTuple, Generic[Loaded_co]):
    """Loaded samples without labels.

    Attributes:
        dataset: The samples, with the hold-out as the test split. All labels are -1, and there are no classes.
        sample_list: The order of the samples, which a later start needs.
        notes: What a user should know about how the samples were found, one line per note.
        duplicates: The name of each sample that was left out as a duplicate, mapped to the name of the sample with the
            same content.
    """

    dataset: Loaded_co
    sample_list: SampleList
    notes: tuple[str, ...]
    duplicates: Mapping[str, str]


class FoundSamples(NamedTuple, Generic[Loaded_co]):
    """Samples that were found and can be loaded.

    Attributes:
        info: The sizes of the pool and of the hold-out.
        load: Loads the samples. While images are decoded, it calls the function that is its argument.
    """

    info: DatasetInfo
    load: Callable[[Progress], LoadedSamples[Loaded_co]]


class Unlabeled(ABC, Generic[Loaded_co]):
    """Samples without labels, such as the images in a folder or the texts of a table. A subclass finds and loads them.

    Attributes:
        kind: The kind of the samples, as a plural.
        names_anywhere: Whether the names of the samples may be paths that lead out of a folder.
        seed: The seed of the experiment, with which the hold-out is drawn.
        holdout: The number of samples that are held out. They are the first samples of a permutation, so a larger
            hold-out contains a smaller one. None means a fifth of the samples, but at most 400.
    """

    kind: ClassVar[Kind] = "images"
    names_anywhere: ClassVar[bool] = False

    seed: int
    holdout: int | None

    @property
    @abstractmethod
    def _place(self) -> object:
        """The folder or the file that the samples are in, for messages."""

    @abstractmethod
    def find_listed(self, before: SampleList | None) -> FoundSamples[Loaded_co]:
        """The samples of an earlier start and those that were added since.

        Args:
            before: The list of the earlier start. None means that this is the first start.

        Raises:
            InputError: The samples cannot be used, or a sample of the earlier start is missing or has changed. The
                function `load` of the result raises the same error.
        """

    @abstractmethod
    def load_listed(
        self,
        *,
        content: str | None = None,
        before: SampleList | None = None,
        add: bool = True,
        progress: Progress = ignore_progress,
    ) -> LoadedSamples[Loaded_co]:
        """The samples in the order of an earlier start.

        Args:
            content: See `raycal.data.image_dataset.Dataset.load`.
            before: The list of the earlier start. Its samples keep their rows, and its hold-out stays as it is. None
                means that this is the first start.
            add: Whether samples that are not in `before` are appended to the pool.
            progress: Called while images are decoded; see `raycal.data.decode.Progress`.

        Raises:
            InputError: The samples cannot be used, or a sample of the earlier start is missing or has changed.
        """

    def inspect(self) -> DatasetInfo:
        """The sizes of the pool and of the hold-out of a first start."""
        return self.find_listed(None).info

    def load(self, *, content: str | None = None) -> Loaded_co:
        """The samples and the splits of a first start. All labels are -1, and there are no classes."""
        return self.load_listed(content=content).dataset

    def _num_held_out(self, number: int, before: SampleList | None = None) -> int:
        """The size of the hold-out, if so many samples can be used.

        Raises:
            InputError: There are too few samples.
        """
        if before is not None:
            return len(before.holdout)
        if number < FEWEST_SAMPLES:
            samples = self.kind.removesuffix("s") if number == 1 else self.kind
            raise InputError(
                f"{self._place}: has {number} {samples} that can be used; at least {FEWEST_SAMPLES} different ones are"
                " needed, one for the pool and one for the hold-out"
            )
        if self.holdout is None:
            return max(1, min(MOST_HELD_OUT, number // HELD_OUT_SHARE))
        if self.holdout >= number:
            raise InputError(
                f"{self._place}: holdout: {self.holdout:,} of {number:,} {self.kind} leaves none for the pool; give at"
                f" most {number - 1:,}"
            )
        return self.holdout

    def _draw(self, number: int) -> tuple[int, ...]:
        """The rows of the hold-out, in the order in which they are drawn."""
        order = stream(self.seed, 0, "hold-out").permutation(number)
        return tuple(order[: self._num_held_out(number)].tolist())

    def _notes_on_holdout(self, before: SampleList | None) -> list[str]:
        if before is None or self.holdout in (None, len(before.holdout)):
            return []
        return [f"holdout is not used: the {len(before.holdout):,} {self.kind} that were drawn first stay held out"]


def unlabeled_samples(dataset: Dataset) -> Unlabeled[LoadedDataset] | None:
    """The samples of a dataset without labels, which people label. None for a dataset with labels."""
    if isinstance(dataset, Unlabeled):
        return dataset
    samples: Unlabeled[LoadedDataset] | None = getattr(dataset, "unlabeled", None)
    return samples


def _stays_inside(name: str) -> bool:
    """Whether a path is relative and leads to a place below the folder that it is relative to."""
    is_path = bool(name.strip("./")) and not name.startswith("/") and "\0" not in name
    return is_path and "/../" not in f"/{name}/"
