"""Tests what is said of stopping rules that can never hold."""

import pytest

from raycal.people.paired import paired_interval
from raycal.people.rule_states import out_of_reach
from raycal.people.stopping import StopRules


def lines(size: int, *chosen: str, **rules: float) -> list[str]:
    return list(out_of_reach(StopRules(**rules), chosen, size, "image"))


def test_rules_of_the_file_that_need_a_larger_hold_out_are_named() -> None:
    assert lines(96, "worth", "stable", stable=0.99) == [
        "warning: stop: worth: 0.01: can never hold, because the hold-out has 96 images; it needs 195",
        "warning: stop: stable: 0.99: can never hold, because the hold-out has 96 images; it needs 100",
    ]
    assert lines(100, "worth", "stable", worth=0.02, stable=0.99) == []


def test_rule_that_no_hold_out_can_fulfill_is_named() -> None:
    (line,) = lines(400, "worth", worth=1e-12)

    assert line.endswith("the hold-out has 400 images; it needs 1,000,000,000")


def test_rules_that_the_file_does_not_set_are_silent() -> None:
    assert lines(10) == lines(10, "minutes", minutes=5.0) == []


@pytest.mark.parametrize("worth", [0.005, 0.01, 0.03, 0.2])
def test_smallest_hold_out_is_that_of_two_models_that_agree(worth: float) -> None:
    """The interval of a gain is narrowest if both models are right about the same half of the images."""

    def can_hold(size: int) -> bool:
        return paired_interval(size // 2, 0, 0, size - size // 2)[1] <= worth

    smallest = next(size for size in range(2, 1000) if can_hold(size))
    assert lines(smallest, "worth", worth=worth) == []
    assert len(lines(smallest - 1, "worth", worth=worth)) == 1
