import pytest

from raycal.capacity.gpu_shares import (
    CLUSTERING_GPU,
    beside_clustering,
    equal_share,
    has_share_to_spare,
    per_card,
)


@pytest.mark.parametrize(
    ("gpus", "number", "beside"),
    [(1, 1, 0), (0.95, 1, 1), (0.6, 1, 1), (0.5, 2, 1), (0.3, 3, 3), (0.25, 4, 3), (1 / 3, 3, 2), (0.04, 25, 23)],
)
def test_workers_on_a_card(gpus: float, number: int, beside: int) -> None:
    assert (per_card(gpus), beside_clustering(gpus)) == (number, beside)


@pytest.mark.parametrize(
    ("given", "cards", "share"),
    [
        (0, 8, 0),
        (1, 8, 1),
        (4, 8, 4),
        (0.5, 8, 0.5),
        (0.25, 8, 0.25),
        (0.1, 8, 0.1),
        (0.6, 8, 0.95),
        (0.95, 18, 0.95),
        (0.95, 19, 1),
        (0.97, 1, 1),
        (0.3, 6, 0.3166),
        (0.3, 7, 0.3333),
        (1e-9, 1, 1e-4),
    ],
)
def test_share_is_the_largest_with_which_as_many_use_a_card(given: float, cards: int, share: float) -> None:
    assert equal_share(given, cards) == share


@pytest.mark.parametrize("cards", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("percent", range(1, 100))
def test_what_the_cards_have_left_is_less_than_a_share(percent: int, cards: int) -> None:
    share = equal_share(percent / 100, cards)

    assert share >= percent / 100 - 1e-4
    assert per_card(share) == per_card(percent / 100)
    assert cards * (1 - per_card(share) * share) < share


@pytest.mark.parametrize(
    ("cards", "gpus", "workers", "spare"),
    [
        (1, 0.95, 1, True),
        (1, 1, 1, False),
        (2, 1, 1, True),
        (1, 0.25, 3, True),
        (1, 0.25, 4, False),
        (4, 0.25, 15, True),
        (4, 0.25, 16, False),
        (2, 0.04, 47, True),
        (2, 0.04, 48, False),  # The 24 workers on each card leave 0.04 of the card free.
        (5, 2, 2, True),
        (4, 2, 2, False),
    ],
)
def test_share_for_clustering(cards: int, gpus: float, workers: int, spare: bool) -> None:
    assert CLUSTERING_GPU == 0.05
    assert has_share_to_spare(cards, gpus, workers) is spare
