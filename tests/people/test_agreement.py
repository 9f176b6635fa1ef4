"""Compares the measures of agreement with published values."""

import random

import pytest

from raycal.people.agreement import cohen_kappa, confused_pairs, krippendorff_alpha

# The two examples of nominal data in Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): two observers
# with alpha 0.095, and four observers with missing values and alpha 0.743.
TWO = ["0100000010", "1110010000"]
FOUR = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
# Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions" (2003), table 18.1: kappa is 0.68.
DIAGNOSES = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]


def units(observers: list[str]) -> list[list[int]]:
    return [[int(value) for value in values if value != "."] for values in zip(*observers, strict=True)]


@pytest.mark.parametrize(("observers", "alpha"), [(TWO, 0.095), (FOUR, 0.743)])
def test_alpha_is_as_published(observers: list[str], alpha: float) -> None:
    assert krippendorff_alpha(units(observers)) == pytest.approx(alpha, abs=0.0005)


def test_kappa_is_as_published() -> None:
    pairs = [(row, column) for row in range(3) for column in range(3) for _ in range(DIAGNOSES[row][column])]

    assert cohen_kappa(pairs) == pytest.approx(0.676, abs=0.0005)


def test_measures_are_one_for_agreement_and_near_zero_for_chance() -> None:
    labels = [(one, one) for one in range(5)]
    rng = random.Random(0)
    by_chance = [(rng.randrange(3), rng.randrange(3)) for _ in range(20_000)]

    assert cohen_kappa(labels) == krippendorff_alpha(labels) == 1
    assert cohen_kappa(by_chance) == pytest.approx(0, abs=0.02)
    assert krippendorff_alpha(by_chance) == pytest.approx(0, abs=0.02)


def test_measures_are_not_defined_where_chance_always_agrees() -> None:
    assert cohen_kappa([]) is None
    assert cohen_kappa([(2, 2), (2, 2)]) is None
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([(1,), (2,)]) is None
    assert krippendorff_alpha([(2, 2), (2, 2)]) is None


def test_most_frequent_confusions_come_first() -> None:
    assert confused_pairs([(1, 2), (2, 1), (0, 3), (3, 3), (0, 1), (1, 0)]) == [((0, 1), 2), ((1, 2), 2), ((0, 3), 1)]
