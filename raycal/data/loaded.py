"""The samples of an experiment after they are loaded: images, vectors or texts, with their labels and the splits."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data.content import DIGEST_BYTES, Digests, digest_of
from raycal.data.places import FilePlace
from raycal.registry import Kind

if TYPE_CHECKING:
    import pyarrow as pa

UNLABELED = -1  # the label of a sample whose class is not known
# The number of samples that are read at a time when a digest of many samples is computed.
_ROWS_AT_ONCE = 1024

Images = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]


class SourceFiles(NamedTuple):
    """The files that the samples of a dataset came from, one file for each sample.

    Attributes:
        names: The names of S files, relative to the dataset's folder.
        digests: (S, 16) uint8, the digest of each file's content.
        content: One digest of the names and the content of these files; `Dataset.load` takes it.
        listing: One digest of the names and classes of all files in the folder, including files that no split uses.
        num_listed: The number of all files in the folder.
        place: Where the files are: a folder that their names are relative to, or files in several places. None if
            nothing can read them again, such as images in the cells of a table.
    """

    names: tuple[str, ...]
    digests: Digests
    content: str
    listing: str
    num_listed: int
    place: FilePlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedDataset(ABC):
    """All samples of an experiment, and which of them are the pool and the test split. All arrays are read-only.

    There is one subclass for each kind of samples: `ImageDataset`, `VectorDataset` and `TextDataset`. Each has a field
    with S samples, and says how a sample is turned into bytes, from which its digests are made.

    Attributes:
        kind: The kind of the samples, as a plural: `images`, `vectors` or `texts`.
        labels: (S,) int64, ids into `class_names`; -1 for all samples of a dataset without labels.
        train_rows: (P,) int64, ascending: pool sample i is the sample in row `train_rows[i]`.
        test_rows: (Q,) int64, ascending, disjoint from `train_rows`.
        class_names: The names of the K classes; empty for a dataset without labels.
        source: The files that the samples came from; None if the samples did not come from one file each.
        left_out: The samples that are in neither split because they cannot be used or are duplicates, each with the
            reason.
        weights: (S,) float32 above 0, by which the loss of each sample is multiplied when a model is trained on it.
            None means equal weights.
    """

    kind: ClassVar[Kind]

    labels: Labels
    train_rows: Indices
    test_rows: Indices
    class_names: tuple[str, ...]
    source: SourceFiles | None = None
    left_out: tuple[str, ...] = ()
    weights: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "train_rows", "test_rows"):
            self._make_read_only(name)

    def _make_read_only(self, name: str) -> None:
        view = getattr(self, name).view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)

    @property
    def noun(self) -> str:
        """The word for one sample: `image`, `vector` or `text`."""
        return self.kind.removesuffix("s")

    @property
    def names(self) -> Sequence[str]:
        """The name of each sample: the name of its file or, if there are no files, its row, such as `image 7`."""
        if self.source is not None:
            return self.source.names
        return [f"{self.noun} {row}" for row in range(len(self.labels))]

    @property
    def train_labels(self) -> Labels:
        """True labels of the pool: (P,) int64."""
        return self.labels[self.train_rows]

    @property
    def test_labels(self) -> Labels:
        """True labels of the test split: (Q,) int64."""
        return self.labels[self.test_rows]

    @property
    def num_train(self) -> int:
        """The number P of samples in the pool."""
        return len(self.train_rows)

    @property
    def num_test(self) -> int:
        """The number Q of samples in the test split."""
        return len(self.test_rows)

    @property
    def num_classes(self) -> int:
        """The number K of classes."""
        return len(self.class_names)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape that all samples have; empty if each sample has a length of its own."""

    @abstractmethod
    def sample_bytes(self, rows: Indices) -> Iterator[bytes]:
        """The content of each of these samples as bytes, which are the same on every machine."""

    def sample_digests(self, rows: Indices) -> Digests:
        """The digest of the content of each of n samples: (n, 16) uint8.

        Samples that came from a file each have the digest of their file.
        """
        if self.source is not None:
            return self.source.digests[rows]
        digests = b"".join(map(digest_of, self.sample_bytes(rows)))
        return np.frombuffer(digests, np.uint8).reshape(len(rows), DIGEST_BYTES)

    def digest_of_rows(self, rows: Indices) -> str:
        """The SHA-256, in hexadecimal, of the content of the samples in these rows, in order."""
        digest = hashlib.sha256(str((len(rows), self.shape)).encode())
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            digest.update(b"".join(self.sample_bytes(rows[begin : begin + _ROWS_AT_ONCE])))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDataset(LoadedDataset):
    """A dataset of images.

    Attributes:
        images: (S, H, W, 3) uint8, RGB; may be memory-mapped.
    """

    kind: ClassVar[Kind] = "images"

    images: Images

    def __post_init__(self) -> None:
        LoadedDataset.__post_init__(self)
        self._make_read_only("images")

    @property
    def shape(self) -> tuple[int, ...]:
        """The height, width and number of channels of every image."""
        return self.images.shape[1:]

    def sample_bytes(self, rows: Indices) -> Iterator[bytes]:
        """The pixels of each image."""
        return (self.images[row].tobytes() for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorDataset(LoadedDataset):
    """A dataset of vectors, such as embeddings that another program has computed.

    Attributes:
        vectors: (S, D) float32, finite; may be memory-mapped.
    """

    kind: ClassVar[Kind] = "vectors"

    vectors: Vectors

    def __post_init__(self) -> None:
        LoadedDataset.__post_init__(self)
        self._make_read_only("vectors")

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of every vector, as a tuple of one number."""
        return self.vectors.shape[1:]

    def sample_bytes(self, rows: Indices) -> Iterator[bytes]:
        """The values of each vector."""
        return (self.vectors[row].tobytes() for row in rows)


class Texts(Sequence[str]):
    """Many texts in one buffer, which takes far less memory than a list of `str` and can be memory-mapped.

    Attributes:
        utf8: (N,) uint8, the texts in UTF-8, one after another.
        offsets: (S + 1,) int64, ascending: text i is `utf8[offsets[i]:offsets[i + 1]]`.
    """

    def __init__(self, utf8: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != len(utf8):
            raise ValueError("the offsets of the texts do not fit the buffer")
        self.utf8, self.offsets = utf8.view(), offsets.view()
        self.utf8.flags.writeable = self.offsets.flags.writeable = False

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Texts":
        """The texts in a buffer of their own. Lone surrogates, which UTF-8 cannot represent, become question marks."""
        encoded = [text.encode("utf-8", "replace") for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    @classmethod
    def of_arrow(cls, texts: "pa.LargeStringArray") -> "Texts":
        """The texts of a column of Arrow, which share its memory. Null becomes an empty text."""
        _, offsets_buffer, utf8_buffer = texts.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        utf8 = np.frombuffer(utf8_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
        return cls(utf8, offsets - offsets[0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # a slice would have to copy
        return self.utf8_of(row).decode("utf-8", "replace")

    def utf8_of(self, row: int) -> bytes:
        """One text in UTF-8."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"there are {len(self)} texts, and no text {row}")
        row %= len(self)
        return self.utf8[self.offsets[row] : self.offsets[row + 1]].tobytes()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextDataset(LoadedDataset):
    """A dataset of texts.

    Attributes:
        texts: The S texts; `Texts.of` makes them from a list of strings.
        row_numbers: (S,) int64, the number of each text's row in its file, by which messages and tables name it. None
            if the texts are not from a file with rows.
    """

    kind: ClassVar[Kind] = "texts"

    texts: Texts
    row_numbers: Indices | None = None

    @property
    def names(self) -> Sequence[str]:
        """The name of each text: its row in the file, such as `row 7`."""
        if self.row_numbers is None:
            return super(TextDataset, self).names
        return [f"row {number}" for number in self.row_numbers.tolist()]

    @property
    def shape(self) -> tuple[int, ...]:
        """Empty, because each text has a length of its own."""
        return ()

    def sample_bytes(self, rows: Indices) -> Iterator[bytes]:
        """Each text in UTF-8 with its length in front, so that two different lists of texts never give the same joined
        bytes.
        """
        for row in rows.tolist():
            text = self.texts.utf8_of(row)
            yield len(text).to_bytes(8, "little") + text
