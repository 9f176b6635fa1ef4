import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.randomness import stream


def first_words(seed: int, iteration: int, purpose: str) -> list[int]:
    bits = stream(seed, iteration, purpose).bit_generator
    return [int(bits.random_raw()) for _ in range(4)]


@given(st.integers(0, 2**63), st.integers(0, 10_000), st.text("step 01+", max_size=12))
def test_same_address_gives_the_same_numbers(seed: int, iteration: int, purpose: str) -> None:
    assert first_words(seed, iteration, purpose) == first_words(seed, iteration, purpose)


def test_drawing_from_one_stream_leaves_the_others_alone() -> None:
    expected = first_words(0, 0, "head")
    one = stream(0, 0, "head")
    one.random(1000)

    assert first_words(0, 0, "head") == expected


@pytest.mark.parametrize("other", [(4, 2, "head"), (3, 1, "head"), (3, 2, "train"), (2, 3, "head")], ids=str)
def test_another_seed_iteration_or_purpose_gives_other_numbers(other: tuple[int, int, str]) -> None:
    assert not set(first_words(3, 2, "head")) & set(first_words(*other))


def test_no_two_addresses_of_an_experiment_begin_alike() -> None:
    purposes = ("head", "train", "step 0", "step 1", "step 10", "train between, before step 1", "backbone")
    addresses = [(seed, iteration, purpose) for seed in range(5) for iteration in range(15) for purpose in purposes]

    assert len({tuple(first_words(*address)) for address in addresses}) == len(addresses)


# If these numbers change, every experiment gives other results under the same id.
@pytest.mark.parametrize(
    ("address", "word"),
    [((0, 0, "head"), 16963349703300654626), ((3, 7, "step 1"), 6666949335791539174)],
    ids=str,
)
def test_first_number_of_a_stream_never_changes(address: tuple[int, int, str], word: int) -> None:
    assert first_words(*address)[0] == word


def test_first_float_of_a_stream_never_changes() -> None:
    assert stream(3, 7, "step 1").random() == 0.3614160476857988
