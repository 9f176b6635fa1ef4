"""Tests the error of exported labels, as far as people have checked them."""

import numpy as np
import pytest

from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data.image_dataset import ImageDataset
from raycal.export import card
from raycal.export.card import audited_error
from raycal.export.evidence import Evidence, PeopleRecord, decide
from raycal.export.labels import LabelSet
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


def label_set(*rows: Interaction) -> LabelSet:
    evidence = Evidence.of(rows, {})
    return LabelSet(images=(), evidence=evidence, decision=decide(evidence, np.arange(100)), num_lost=0)


def test_error_is_that_of_the_exported_labels() -> None:
    """The images 0 and 1 get other labels later, so only these count."""
    labels = label_set(
        row(0, 1, list(range(10))),
        row(1, 2, [0, *range(20, 29)]),
        row(2, 2, [0]),
        row(3, 3, [1], kind=Kind.SAMPLE),
    )
    error = audited_error(labels, {0: 2, 1: 4, 2: 1, 3: 0, 20: 2, 99: 1})

    assert error is not None
    assert (error.number, error.num_wrong) == (4, 1)  # the images 0, 2, 3 and 20, of which 3 is wrong


def test_strata_have_the_weights_of_their_labels() -> None:
    labels = label_set(row(0, 0, list(range(5))), row(1, 1, list(range(5, 95))))
    error = audited_error(labels, {0: 1, 1: 1, 5: 1, 6: 1, 7: 1, 8: 1})

    assert error is not None
    assert error.share == pytest.approx(5 / 95)
    assert (error.low, error.high) == pytest.approx(
        wilson_interval(5 / 95, 1 / ((5 / 95) ** 2 / 2 + (90 / 95) ** 2 / 4))
    )


def test_card_says_how_many_labels_are_wrong() -> None:
    images = ImageDataset(
        images=np.zeros((100, 1, 1, 3), np.uint8),
        labels=np.full(100, -1),
        train_rows=np.arange(100),
        test_rows=np.zeros(0, np.int64),
        class_names=("wren", "robin"),
    )
    labels = label_set(row(0, 1, list(range(100))))
    audited = {index: int(index >= 4) for index in range(100)}

    assert card._quality(images, labels, PeopleRecord(audited=audited)).startswith(
        "Label error of cluster labels: 4.0 % (1.6-9.8, 100 checked)."
    )
    assert card._quality(images, labels, PeopleRecord()).startswith("Label error: not known")


def test_nothing_is_known_without_an_audit() -> None:
    assert audited_error(label_set(row(0, 1, [1, 2])), {}) is None
    assert audited_error(label_set(), {3: 1}) is None
