"""Tests which labels a simulation uses, and the file that it reads them from."""

from pathlib import Path

import numpy as np
import pytest

from raycal.annotate.advice import labels_so_far as module
from raycal.annotate.advice.imputation import impute
from raycal.annotate.advice.labels_so_far import LabelsSoFar, labels_so_far, scaled
from raycal.data import VectorDataset
from raycal.data.embeddings import Embeddings
from raycal.errors import InputError
from raycal.export.evidence import LabelOrigin
from raycal.export.labels import LabeledImage
from raycal.storage.predictions import UNKNOWN

# The names of six classes, of which only the classes 2 and 5 have samples. Some names are numbers, but not those of
# their classes.
CLASSES = ("5", "2", "jay", "0", "1", "crow")


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


def labeled(rows: list[int], *, alone: set[int], label: int | None = None) -> list[LabeledImage]:
    """Labels 0, 2, 4 and 6 of these rows, by row, or one label for all. Some rows were labeled alone."""
    return [
        LabeledImage(
            row=row,
            source=f"{row}.png",
            label=row % 4 * 2 if label is None else label,
            how=LabelOrigin.SINGLE if row in alone else LabelOrigin.CLUSTER,
            round=0,
            interaction=1,
            annotator="ana",
            split="train",
        )
        for row in rows
    ]


POOL = [row for row in range(200) if row % 4][::-1]
ALONE = {*POOL[:10]}


def test_whole_pool_is_simulated_and_half_of_the_hold_out_measures() -> None:
    found = labels_so_far("birds", samples(50), labeled(POOL[:120], alone=ALONE))

    assert (found.num_pool, found.num_measured, found.share_of_pool) == (150, 25, 1.0)
    assert found.rows[:150].tolist() == sorted(POOL)
    further, measured = ({*found.rows[part].tolist()} for part in (slice(150, 175), slice(175, None)))
    assert further | measured == {*range(0, 200, 4)}
    assert not further & measured
    assert [row for row, label in zip(found.rows, found.labels, strict=True) if label == UNKNOWN] == POOL[120:][::-1]
    assert {*found.rows[found.trusted].tolist()} == ALONE | {*range(0, 200, 4)}
    assert found.num_trusted == 10 + 25


def test_project_with_few_labels_is_refused() -> None:
    with pytest.raises(InputError) as error:
        labels_so_far("birds", samples(49), labeled(POOL[:99], alone=ALONE, label=3))

    assert error.value.problems == (
        "birds: for advice, the project needs at least 100 labeled vectors, and has 99, at least 50 labeled vectors of "
        "the hold-out, and has 49, at least 2 classes, and has 1",
    )


def test_most_samples_are_drawn_once_and_samples_labeled_alone_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SAMPLES", 40)

    first, again = (labels_so_far("birds", samples(50), labeled(POOL, alone=ALONE)) for _ in range(2))

    assert (first.num_pool, first.num_measured, first.share_of_pool) == (40, 20, 40 / 150)
    assert np.array_equal(first.rows, again.rows)
    assert {*first.rows[:40].tolist()} < {*POOL}
    assert {*first.rows.tolist()} > ALONE
    assert first.num_trusted == 20 + 10


def two_groups() -> tuple[LabelsSoFar, np.ndarray]:
    """Six samples of a pool, two that tell labels, and two that measure the accuracy, in two groups far apart. The
    classes have the numbers 2 and 5. One sample of the second group was labeled wrongly, in a cluster."""
    group = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    labels = np.array([UNKNOWN, UNKNOWN, 2, 2, UNKNOWN, 5, 2, 5, 2, 5])
    trusted = np.array([False, False, False, False, False, True, True, True, True, True])
    of = LabelsSoFar(rows=np.arange(10), labels=labels, trusted=trusted, num_pool=6, num_measured=2, share_of_pool=0.5)
    vectors = 10.0 * group[:, None] * np.ones(3) + np.random.default_rng(0).normal(size=(10, 3))
    return of, vectors.astype(np.float32)


@pytest.mark.parametrize(
    ("similar", "label"),
    [((5, 5), 5), ((5, 2), 2), ((5, 7), 2), ((2, 2), 2)],
    ids=["both say another class", "one says the same", "they say different classes", "both say the same"],
)
def test_label_of_a_cluster_is_doubtful_if_both_similar_samples_say_another(
    similar: tuple[int, int], label: int
) -> None:
    labels, vectors = np.array([2, *similar]), np.array([[0.0], [1.0], [1.5]], np.float32)

    assert impute(vectors, labels, np.array([False, True, True])).tolist() == [label, *similar]


def test_labels_are_those_of_the_most_similar_samples() -> None:
    of, vectors = two_groups()

    found = impute(vectors, of.labels, of.trusted)

    assert found.tolist() == [2, 5, 2, 5, 2, 5, 2, 5, 2, 5]


def test_trusted_labels_are_unchanged_however_unlikely_they_are() -> None:
    of, vectors = two_groups()
    labels = of.labels.copy()
    labels[5] = 2

    assert impute(vectors, labels, of.trusted)[5] == 2
    assert np.array_equal(impute(vectors, labels, np.ones(10, np.bool_)), labels)


def test_one_class_is_given_to_all() -> None:
    labels = np.array([3, UNKNOWN, UNKNOWN])

    assert impute(np.eye(3, dtype=np.float32), labels, labels != UNKNOWN).tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param([0, 1, 2, 0, UNKNOWN, UNKNOWN], [0, 1, 2, 0, 1, 2], id="classes with a single sample"),
        pytest.param([0, 1, 2, 3, UNKNOWN, UNKNOWN], [0, 1, 2, 3, 1, 2], id="no class with several samples"),
        pytest.param([0, 1, 0, 0, 1, UNKNOWN], [0, 1, 0, 0, 1, 0], id="all samples of a class equal"),
    ],
)
def test_few_labels_are_imputed_as_well(labels: list[int], expected: list[int]) -> None:
    places = [0, 10, 20, 0, 10, 20] if labels[4] == UNKNOWN else [0, 10, 0, 0, 10, 0]
    given = np.array(labels)

    found = impute(np.array(places, np.float32)[:, None] * np.ones(3, np.float32), given, given != UNKNOWN)

    assert found.tolist() == expected


def test_file_is_read_as_a_dataset(tmp_path: Path) -> None:
    of, vectors = two_groups()
    (tmp_path / "labels.npz").write_bytes(of.npz(vectors, CLASSES))

    read = Embeddings(
        file=str(tmp_path / "labels.npz"), vectors="vectors", label="label", split="split", seed=0, image_size=32
    ).load()

    assert read.class_names == ("crow", "jay")
    assert read.train_labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert read.test_labels.tolist() == [1, 0]
    assert of.guessing == 0.5
    assert np.array_equal(read.vectors[read.test_rows], vectors[8:])


def test_what_measures_the_accuracy_tells_no_labels(tmp_path: Path) -> None:
    of, vectors = two_groups()
    labels = of.labels.copy()
    labels[8:] = 5, 2

    turned = LabelsSoFar(rows=of.rows, labels=labels, trusted=of.trusted, num_pool=6, num_measured=2, share_of_pool=0.5)

    (tmp_path / "labels.npz").write_bytes(turned.npz(vectors, CLASSES))
    with np.load(tmp_path / "labels.npz") as arrays:
        assert arrays["label"].tolist() == ["jay", "crow", "jay", "crow", "jay", "crow", "crow", "jay"]


def test_vectors_are_scaled_by_dimension() -> None:
    found = scaled(np.array([[1, 5, 7], [3, 5, 1]], np.float32))

    assert found.dtype == np.float32
    assert found.tolist() == [[-1, 0, 1], [1, 0, -1]]
