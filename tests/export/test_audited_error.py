"""Tests the error of exported labels, as far as people have checked them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from evidence_bots import single

from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data.image_dataset import ImageDataset
from raycal.export import card
from raycal.export.card import audited_error
from raycal.export.evidence import LabelOrigin, PeopleRecord
from raycal.export.labels import LabelSet, collect
from raycal.people.results import wilson_interval


def row(number: int, label: int, indices: list[int], *, kind: Kind = Kind.CLUSTER) -> Interaction:
    return Interaction(
        iteration=number,
        step=0,
        interaction=number,
        kind=kind,
        answer=Answer.LABELED,
        label=label,
        purity=None,
        wrong=None,
        seconds=1.0,
        indices=np.array(indices, np.int64),
    )


def images() -> ImageDataset:
    return ImageDataset(
        images=np.zeros((100, 1, 1, 3), np.uint8),
        labels=np.full(100, -1),
        train_rows=np.arange(100),
        test_rows=np.zeros(0, np.int64),
        class_names=("wren", "robin", "tit", "crow", "jay"),
    )


def label_set(*rows: Interaction, audited: Mapping[int, int] | None = None) -> LabelSet:
    others = [single("eve", 0, label, index, is_audit=True) for index, label in (audited or {}).items()]
    people = PeopleRecord(others=others)
    return collect(images(), people.evidence(rows), people)


def test_error_is_that_of_the_exported_labels() -> None:
    """The images 0 and 1 get other labels later, so only these count."""
    labels = label_set(
        row(1, 1, list(range(10))),
        row(2, 2, [0, *range(20, 29)]),
        row(3, 2, [0]),
        row(4, 3, [1], kind=Kind.SAMPLE),
    )
    error = audited_error(labels, {0: 2, 1: 4, 2: 1, 3: 0, 20: 2, 99: 1})

    assert error is not None
    assert (error.number, error.num_wrong) == (4, 1)  # the images 0, 2, 3 and 20, of which 3 is wrong


def test_strata_have_the_weights_of_their_labels() -> None:
    labels = label_set(row(1, 0, list(range(5))), row(2, 1, list(range(5, 95))))
    error = audited_error(labels, {0: 1, 1: 1, 5: 1, 6: 1, 7: 1, 8: 1})

    assert error is not None
    assert error.share == pytest.approx(5 / 95)
    assert (error.low, error.high) == pytest.approx(
        wilson_interval(5 / 95, 1 / ((5 / 95) ** 2 / 2 + (90 / 95) ** 2 / 4))
    )


def test_card_says_how_many_labels_are_wrong() -> None:
    labels = label_set(row(1, 1, list(range(100))))
    audited = {index: int(index >= 4) for index in range(100)}

    with_audit = card._quality(images(), labels, PeopleRecord(audited=audited))
    assert "\n\nLabel error of cluster labels: 4.0 % (1.6-9.8, 100 checked)." in with_audit
    expected = (
        "Expected label error: by all answers together, 9.6% of the 100 labels of clusters are probably wrong. This"
    )
    assert card._quality(images(), labels, PeopleRecord()).startswith(expected)
    # One sentence says what each of the two errors is worth.
    about_expected = "It is about all labels of the pool, but only as good as these assumptions."
    about_audit = "trust this interval more than the expected error, because it was measured."
    found = [part.endswith((about_expected, about_audit)) for part in with_audit.split("\n\n")]
    assert found == [True, True]
    assert about_audit not in card._quality(images(), labels, PeopleRecord())


def test_card_counts_labels_that_are_more_probably_wrong_than_right() -> None:
    labels = label_set(row(1, 1, list(range(4))))
    assert "below 0.5" not in card._quality(images(), labels, PeopleRecord())
    shares = (0.49, 0.5, 0.2, None)
    doubtful = [replace(image, probability=share) for image, share in zip(labels.images, shares, strict=True)]

    found = card._quality(images(), replace(labels, images=doubtful), PeopleRecord())

    assert "2 images have a `probability` below 0.5: leave them out, or look at them, if you need few errors." in found


def test_card_splits_the_expected_error_by_the_origin_of_the_label() -> None:
    labels = label_set(row(1, 1, list(range(50))), row(1, 2, [60], kind=Kind.SAMPLE), row(2, 2, [61], kind=Kind.SAMPLE))
    found = card.expected_errors(labels)

    assert {how: number for how, (number, _) in found.items()} == {LabelOrigin.SINGLE: 2, LabelOrigin.CLUSTER: 50}
    assert found[LabelOrigin.SINGLE][1] == pytest.approx(0.01)
    assert "1.0% of the 2 labels of single images and 9.6% of the 50 labels of clusters are probably wrong" in (
        card._quality(images(), labels, PeopleRecord())
    )


def test_checks_correct_the_labels_and_measure_those_that_they_have_not_corrected() -> None:
    audited = {index: int(index >= 8) for index in range(40)}
    labels = label_set(row(1, 1, list(range(100))), audited=audited)
    error = audited_error(labels, audited)

    assert labels.decision.labels[:9].tolist() == [0] * 8 + [1]
    assert error is not None
    assert (error.number, error.num_wrong) == (40, 8)
    corrected = [image for image in labels.pool if image.label == 0]
    assert {(image.how, image.interaction, image.annotator) for image in corrected} == {("single", None, "eve")}


def test_nothing_is_known_without_an_audit() -> None:
    assert audited_error(label_set(row(1, 1, [1, 2])), {}) is None
    assert audited_error(label_set(), {3: 1}) is None
