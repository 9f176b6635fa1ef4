"""Tests that acquisition functions compute only what they need. `raycal.testing` checks the rest of their contract."""

import pytest

from raycal.algorithm.acquisition import acquisitions
from raycal.testing import example_view


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *((name, set()) for name in ("entropy", "margin", "least_confidence", "badge")),
        *((name, {"head"}) for name in ("bald", "dropout_entropy", "dropout_variation_ratio")),
        *((name, {"members"}) for name in ("ensemble_vote_entropy", "ensemble_variation_ratio")),
        *((name, {"annotated"}) for name in ("core_set", "typiclust", "prob_cover")),
    ],
)
def test_computes_nothing_that_is_not_wanted(name: str, wanted: set[str]) -> None:
    asked: set[str] = set()
    acquisitions[name](example_view(40, 3, asked=asked), 9)

    assert asked == wanted
