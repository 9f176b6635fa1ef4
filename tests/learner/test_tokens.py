"""Token ids of texts: computed once, cut off and padded as the model wants, and the same from the cache."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from raycal.data import TextDataset, Texts
from raycal.learner import tokens as tokens_module
from raycal.learner.device import DeviceSettings
from raycal.learner.texts import SCORING_TOKENS, DeviceTexts
from raycal.learner.tokens import tokens_of

HOSTILE = ("", " \n", "\x00\x07", "\u202eabc", "👩\u200d👧", "x" * 3_000_000, "a\ud800b", "é" * 10)


class ByCharacters:
    """A tokenizer with an id for every character, which counts the texts that it was given."""

    def __init__(self, name: str = "") -> None:
        self.fingerprint, self.calls = f"by characters {name}", list[int]()

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        self.calls.append(len(texts))
        assert len(texts) * max(len(text.encode()) for text in texts) <= 2**22 or len(texts) == 1
        return [[ord(sign) for sign in text] for text in texts]


def dataset(texts: Sequence[str], train: Sequence[int], test: Sequence[int]) -> TextDataset:
    return TextDataset(
        texts=Texts.of(texts),
        labels=np.zeros(len(texts), np.int64),
        train_rows=np.array(train, np.int64),
        test_rows=np.array(test, np.int64),
        class_names=("a",),
    )


def test_ids_come_from_the_cache_until_the_texts_or_the_tokenizer_change() -> None:
    samples, first, again = dataset(["ab", "unused", "c", ""], [0, 3], [2]), ByCharacters(), ByCharacters()

    made, kept = tokens_of(samples, first), tokens_of(samples, again)

    assert made.rows.tolist() == kept.rows.tolist() == [0, 2, 3]
    assert kept.ids.tolist() == made.ids.tolist() == [97, 98, 99]
    assert kept.offsets.tolist() == [0, 2, 3, 3]
    assert (first.calls, again.calls) == ([3], [])
    other = ByCharacters("of another model")
    tokens_of(samples, other)
    changed = ByCharacters()
    assert tokens_of(dataset(["abc", "unused", "", ""], [0, 3], [2]), changed).ids.tolist() == [97, 98, 99]
    assert (other.calls, changed.calls) == ([3], [3])


def test_ids_stay_in_memory_if_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "file"))

    with caplog.at_level(logging.WARNING):
        made = tokens_of(dataset(["ab", "c"], [0], [1]), ByCharacters())

    assert made.ids.tolist() == [97, 98, 99]
    assert "cannot keep token ids on disk" in caplog.text


def test_hostile_texts_become_ids() -> None:
    made = tokens_of(dataset(HOSTILE, range(len(HOSTILE)), []), ByCharacters())

    assert made.lengths(made.rows).tolist() == [0, 2, 2, 4, 3, 3_000_000, 3, 10]
    assert made.padded(np.array([6]))[0, 0].tolist() == [97, ord("?"), 98]


def test_many_texts_are_given_to_the_tokenizer_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ab"] * 2_500 + ["x" * 10_000] * 500
    tokenize = ByCharacters()

    made = tokens_of(dataset(texts, range(3_000), []), tokenize)

    assert sum(tokenize.calls) == 3_000
    assert tokenize.calls[:2] == [1024, 1024]
    assert max(tokenize.calls[3:]) <= 2**22 // 10_000
    assert made.ids[-1] == ord("x")
    assert len(made.ids) == 5_000 + 5_000_000


def test_batch_is_padded_to_its_longest_text() -> None:
    made = tokens_of(dataset(["abc", "", "d", "ef"], [0, 1, 2, 3], []), ByCharacters())

    assert made.padded(np.array([3, 1, 2])).tolist() == [[[101, 102], [1, 1]], [[0, 0], [0, 0]], [[100, 0], [1, 0]]]
    assert made.padded(np.array([1])).tolist() == [[[0], [0]]]
    assert made.padded(np.array([2, 2])).dtype == np.int64


def test_batches_are_those_of_the_rows_in_any_order() -> None:
    settings = DeviceSettings(torch.device("cpu"), torch.float32)
    texts = DeviceTexts(tokens_of(dataset(["abc", "", "d", "ef"], [0, 1, 2], [3]), ByCharacters()), settings)

    first, second = texts.batches(np.array([2, 0, 3]), [slice(0, 2), slice(2, 3)])

    assert first.tolist() == [[[100, 0, 0], [1, 0, 0]], [[97, 98, 99], [1, 1, 1]]]
    assert second.tolist() == [[[101, 102], [1, 1]]]
    assert texts.scoring_order(np.array([0, 3, 1, 2])).tolist() == [2, 3, 1, 0]
    assert list(texts.batches(np.array([], np.int64), [])) == []


def test_batches_of_long_texts_have_fewer_of_them() -> None:
    longest = SCORING_TOKENS["cpu"]
    samples = dataset(["x"] * 5 + ["y" * (longest // 2)] * 3 + ["z" * (2 * longest)], range(9), [])
    texts = DeviceTexts(tokens_of(samples, ByCharacters()), DeviceSettings(torch.device("cpu"), torch.float32))

    rows = np.arange(9)

    assert texts.scoring_parts(rows, 4) == [slice(0, 4), slice(4, 6), slice(6, 8), slice(8, 9)]
    assert texts.scoring_parts(rows[:0], 4) == []


def test_old_entries_of_the_cache_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "MAX_CACHE_BYTES", 0)
    first = dataset(["ab"], [0], [])
    tokens_of(first, ByCharacters())
    tokens_of(dataset(["cd"], [0], []), ByCharacters())

    again = ByCharacters()
    tokens_of(first, again)

    assert again.calls == [1]
