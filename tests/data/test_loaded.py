"""Loaded datasets of all kinds: what they have in common, and the digests of their samples."""

from dataclasses import replace

import numpy as np
import pytest
from small_images import IMAGES

from raycal.data import LoadedDataset, TextDataset, Texts, VectorDataset
from raycal.data.content import digest_of
from raycal.data.manifest import differences, in_both_splits, manifest_of

COMMON = {
    "labels": np.array([0, 1, 1, 0]),
    "train_rows": np.array([0, 2]),
    "test_rows": np.array([1, 3]),
    "class_names": ("a", "b"),
}
VECTORS = VectorDataset(vectors=np.arange(12, dtype=np.float32).reshape(4, 3), **COMMON)
TEXTS = TextDataset(texts=Texts.of(["ab", "c", "", "naïve"]), **COMMON)


@pytest.mark.parametrize(
    ("loaded", "kind", "noun", "first", "shape"),
    [(VECTORS, "vectors", "vector", "vector 0", (3,)), (TEXTS, "texts", "text", "text 0", ())],
)
def test_what_all_kinds_have(loaded: LoadedDataset, kind: str, noun: str, first: str, shape: tuple[int, ...]) -> None:
    assert (loaded.kind, loaded.noun, loaded.names[0], loaded.shape) == (kind, noun, first, shape)
    assert (loaded.num_train, loaded.num_test, loaded.num_classes) == (2, 2, 2)
    assert loaded.train_labels.tolist() == [0, 1]
    assert loaded.test_labels.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["vectors", "labels", "train_rows", "test_rows"])
def test_arrays_are_read_only(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(VECTORS, name)[0] = 1


def test_digest_of_a_vector_is_that_of_its_values() -> None:
    digests = VECTORS.sample_digests(np.array([2, 0]))

    assert digests[0].tobytes() == digest_of(np.array([6, 7, 8], np.float32).tobytes())
    assert digests[1].tobytes() == digest_of(np.array([0, 1, 2], np.float32).tobytes())


def test_digest_of_rows_depends_on_content_and_order() -> None:
    rows = np.array([0, 1, 2])
    changed = replace(VECTORS, vectors=np.where(VECTORS.vectors == 4, np.float32(4.5), VECTORS.vectors))

    assert VECTORS.digest_of_rows(rows) == VECTORS.digest_of_rows(rows.copy())
    assert VECTORS.digest_of_rows(rows) != VECTORS.digest_of_rows(rows[::-1])
    assert VECTORS.digest_of_rows(rows) != changed.digest_of_rows(rows)
    assert VECTORS.digest_of_rows(np.array([0, 2])) == changed.digest_of_rows(np.array([0, 2]))


def test_texts_that_join_to_the_same_text_have_different_digests() -> None:
    other = replace(TEXTS, texts=Texts.of(["a", "bc", "", "naïve"]))

    assert TEXTS.digest_of_rows(np.arange(4)) != other.digest_of_rows(np.arange(4))


def test_manifest_names_samples_of_each_kind_and_finds_changes() -> None:
    changed = replace(VECTORS, vectors=VECTORS.vectors + np.eye(4, 3, dtype=np.float32))

    assert manifest_of(VECTORS).names == ("vector 0", "vector 1", "vector 2", "vector 3")
    assert manifest_of(IMAGES).names[0] == "image 0"
    assert differences(manifest_of(VECTORS), manifest_of(changed)) == [
        "other content: 3 vectors (vector 0, vector 1, vector 2)"
    ]


def test_vectors_in_both_splits_are_found() -> None:
    vectors = VECTORS.vectors.copy()
    vectors[3] = vectors[0]
    twice = replace(VECTORS, vectors=vectors)

    assert in_both_splits(twice, manifest_of(twice)) == {"vector 3": "vector 0"}
    assert in_both_splits(VECTORS, manifest_of(VECTORS)) == {}


def test_texts_are_kept_as_they_are() -> None:
    texts = Texts.of(["", "ü", "日本", "a\nb"])

    assert list(texts) == ["", "ü", "日本", "a\nb"]
    assert (len(texts), texts[-1], texts.utf8_of(1)) == (4, "a\nb", "ü".encode())
    with pytest.raises(IndexError):
        texts[4]
    with pytest.raises(ValueError, match="do not fit"):
        Texts(texts.utf8, texts.offsets[:-1])


def test_lone_surrogate_becomes_a_question_mark() -> None:
    assert Texts.of(["a\udc80b"])[0] == "a?b"
