"""Tests which labels a simulation uses, and the file that it reads them from."""

from pathlib import Path

import numpy as np
import pytest

from raycal.annotate.advice import labels_so_far as module
from raycal.annotate.advice.labels_so_far import LabelsSoFar, labels_so_far, scaled
from raycal.data import VectorDataset
from raycal.data.embeddings import Embeddings
from raycal.errors import InputError
from raycal.export.evidence import LabelOrigin, decide
from raycal.export.labels import LabeledImage, LabelSet
from raycal.people.evidence import Evidence
from raycal.people.posterior import posterior


def samples(num_held_out: int = 40) -> VectorDataset:
    """200 samples, of which every fourth belongs to the hold-out; its labels are known for the first ones."""
    test_rows = np.arange(0, 200, 4)
    labels = np.full(200, -1)
    labels[test_rows[:num_held_out]] = np.arange(num_held_out) % 4 * 2
    return VectorDataset(
        vectors=np.zeros((200, 3), np.float32),
        labels=labels,
        train_rows=np.setdiff1d(np.arange(200), test_rows),
        test_rows=test_rows,
        class_names=tuple("abcdefgh"),
    )


def label_set(rows: list[int], label: int | None = None) -> LabelSet:
    """Labels 0, 2, 4 and 6 of these rows, by row, or one label for all."""
    images = [
        LabeledImage(
            row=row,
            source=f"{row}.png",
            label=row % 4 * 2 if label is None else label,
            how=LabelOrigin.SINGLE,
            round=0,
            interaction=1,
            annotator="ana",
            split="train",
        )
        for row in rows
    ]
    evidence = Evidence.of([], {})
    beliefs = posterior(evidence, np.arange(200), 8)
    decision = decide(evidence, np.arange(200), beliefs)
    return LabelSet(
        images=images, evidence=evidence, posterior=beliefs, decision=decision, unaudited=decision, num_lost=0
    )


POOL = [row for row in range(200) if row % 4][::-1]


def test_labels_of_the_pool_come_first_and_classes_have_no_gaps() -> None:
    found = labels_so_far("birds", samples(), label_set(POOL[:120]))

    assert (found.num_pool, found.num_holdout, found.share_of_pool) == (120, 40, 0.8)
    assert found.rows.tolist() == [*sorted(POOL[:120]), *range(0, 160, 4)]
    # The classes 2, 4 and 6 of the pool, and 0, 2, 4 and 6 of the hold-out, are 0 to 3.
    assert found.labels[:120].tolist() == [row % 4 for row in sorted(POOL[:120])]
    assert found.labels[120:].tolist() == [number % 4 for number in range(40)]
    assert found.guessing == 0.25


def test_project_with_few_labels_is_refused() -> None:
    with pytest.raises(InputError) as error:
        labels_so_far("birds", samples(29), label_set(POOL[:99], label=3))

    assert error.value.problems == (
        "birds: for advice, the project needs at least 100 labeled vectors, and has 99, at least 30 labeled vectors of "
        "the hold-out, and has 29, at least 2 classes, and has 1",
    )


def test_most_labels_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LABELS", 110)

    first, again = (labels_so_far("birds", samples(), label_set(POOL)) for _ in range(2))

    assert (first.num_pool, first.num_holdout) == (110, 40)
    assert first.share_of_pool == 110 / 150
    assert np.array_equal(first.rows, again.rows)
    assert set(first.rows[:110].tolist()) < set(POOL)


def test_file_is_read_as_a_dataset(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3)).astype(np.float32)
    labels = LabelsSoFar(
        rows=np.array([3, 5, 9, 11, 0, 4]), labels=np.array([0, 1, 2, 1, 0, 2]), num_pool=4, share_of_pool=0.5
    )
    (tmp_path / "labels.npz").write_bytes(labels.npz(vectors))

    read = Embeddings(
        file=str(tmp_path / "labels.npz"), vectors="vectors", label="label", split="split", seed=0, image_size=32
    ).load()

    assert read.train_labels.tolist() == [0, 1, 2, 1]
    assert read.test_labels.tolist() == [0, 2]
    assert np.array_equal(read.vectors[read.test_rows], vectors[4:])


def test_vectors_are_scaled_by_dimension() -> None:
    found = scaled(np.array([[1, 5, 7], [3, 5, 1]], np.float32))

    assert found.dtype == np.float32
    assert found.tolist() == [[-1, 0, 1], [1, 0, -1]]
