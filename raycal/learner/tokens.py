"""The token ids of all texts of a dataset, computed once per machine, memory-mapped, and shared by all trials."""

import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices
from raycal.data import TextDataset
from raycal.data.cache import array_file, cache_dir, cached_arrays, evict
from raycal.errors import InputError

logger = logging.getLogger(__name__)

FOLDER = "tokens"
# The largest size of all entries together. The least recently used entries are removed first.
MAX_CACHE_BYTES = 8 * 2**30
# A call of the tokenizer gets at most this many texts and, with every text as long as the longest one, at most this
# many bytes.
_TEXTS_AT_ONCE, _BYTES_AT_ONCE = 1024, 2**22


class Tokenizer(Protocol):
    """Turns texts into token ids; `raycal.networks.sentences.network.Tokenization` is one."""

    @property
    def fingerprint(self) -> str:
        """A text that is the same for tokenizers that give the same ids."""

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""


class Tokens(NamedTuple):
    """The token ids of the texts in some rows of a dataset.

    Attributes:
        rows: (n,) int64, ascending, the rows that have ids.
        ids: (N,) int32, the ids of these texts, one after another.
        offsets: (n + 1,) int64: the ids of the text in `rows[i]` are `ids[offsets[i]:offsets[i + 1]]`.
    """

    rows: Indices
    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def lengths(self, rows: Indices) -> Indices:
        """The number of tokens of the text in each of these rows."""
        places = np.searchsorted(self.rows, rows)
        lengths: Indices = self.offsets[places + 1] - self.offsets[places]
        return lengths

    def padded(self, rows: Indices) -> npt.NDArray[np.int64]:
        """The ids and the mask of the texts in B rows: (B, 2, L) for the L tokens of the longest of them, at least one.

        The mask is 1 for each token. Behind the tokens of a shorter text, ids and mask are 0.
        """
        lengths = self.lengths(rows)
        longest = max(1, int(lengths.max(initial=1)))
        padded = np.zeros((len(rows), 2, longest), np.int64)
        is_token = np.arange(longest) < lengths[:, np.newaxis]
        begins = self.offsets[np.searchsorted(self.rows, rows)]
        places = (begins[:, np.newaxis] + np.arange(longest))[is_token]
        padded[:, 0][is_token] = self.ids[places]
        padded[:, 1][is_token] = 1
        return padded


def tokens_of(dataset: TextDataset, tokenize: Tokenizer) -> Tokens:
    """The token ids of the texts of both splits.

    If the cache cannot be written, the texts are tokenized and the ids are kept in memory only.
    """
    rows = np.union1d(dataset.train_rows, dataset.test_rows)
    key = {
        "content": "token ids",
        "texts": dataset.digest_of_rows(rows),
        "tokenizer": hashlib.sha256(tokenize.fingerprint.encode()).hexdigest(),
    }
    try:
        arrays = cached_arrays(key, lambda folder: _write(folder, dataset, rows, tokenize), folder=FOLDER)
    except InputError as error:
        logger.warning("%s: cannot keep token ids on disk (%s)", cache_dir(), error.__cause__)
        return _in_memory(dataset, rows, tokenize)
    evict(FOLDER, keep_bytes=MAX_CACHE_BYTES)
    return Tokens(rows, arrays["ids"], arrays["offsets"])


def _write(folder: Path, dataset: TextDataset, rows: Indices, tokenize: Tokenizer) -> None:
    """Write the ids and their offsets with bounded memory. How many ids there are in all is only known at the end."""
    lengths: list[int] = []
    raw = folder / "ids.raw"
    with raw.open("wb") as file:
        for ids in _tokenized(dataset, rows, tokenize):
            lengths += map(len, ids)
            file.write(_joined(ids).tobytes())
    with raw.open("rb") as file, array_file(folder / "ids.npy", (sum(lengths),), np.int32) as array:
        shutil.copyfileobj(file, array)
    raw.unlink()
    np.save(folder / "offsets.npy", _offsets(lengths))


def _in_memory(dataset: TextDataset, rows: Indices, tokenize: Tokenizer) -> Tokens:
    lengths: list[int] = []
    parts: list[npt.NDArray[np.int32]] = []
    for ids in _tokenized(dataset, rows, tokenize):
        lengths += map(len, ids)
        parts.append(_joined(ids))
    return Tokens(rows, np.concatenate([*parts, np.empty(0, np.int32)]), _offsets(lengths))


def _tokenized(dataset: TextDataset, rows: Indices, tokenize: Tokenizer) -> Iterator[list[list[int]]]:
    for part in _parts(np.diff(dataset.texts.offsets)[rows].tolist()):
        yield tokenize([dataset.texts[row] for row in rows[part].tolist()])


def _parts(lengths: Sequence[int]) -> Iterator[slice]:
    """Consecutive slices of the texts with these lengths. Each slice is for one call of the tokenizer."""
    begin, longest = 0, 0
    for row, length in enumerate(lengths):
        longest = max(longest, length)
        too_long = (row + 1 - begin) * longest > _BYTES_AT_ONCE
        if row > begin and (too_long or row - begin == _TEXTS_AT_ONCE):
            yield slice(begin, row)
            begin, longest = row, length
    if begin < len(lengths):
        yield slice(begin, len(lengths))


def _joined(ids: list[list[int]]) -> npt.NDArray[np.int32]:
    return np.concatenate([np.array(one, np.int32) for one in ids])


def _offsets(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
