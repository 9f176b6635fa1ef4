from collections.abc import Iterator

import pytest
from set_clock import Clock

from raycal.annotate.attempts import MAX_ADDRESSES, AttemptLimit


@pytest.fixture
def clock() -> Iterator[Clock]:
    return Clock()


def test_attempts_are_counted_by_address_and_forgotten(clock: Clock) -> None:
    limit = AttemptLimit(most=3, seconds=60, now=clock)
    for _ in range(3):
        assert limit.seconds_to_wait("a") == 0
        limit.count("a")
        clock.now += 10

    assert limit.seconds_to_wait("a") == 30
    assert limit.seconds_to_wait("b") == 0
    clock.now += 30
    assert limit.seconds_to_wait("a") == 0
    limit.count("a")
    assert limit.seconds_to_wait("a") == 10  # The second of the last three attempts was 50 seconds ago.


def test_counted_addresses_are_bounded(clock: Clock) -> None:
    limit = AttemptLimit(most=1, now=clock)
    for number in range(MAX_ADDRESSES + 1):
        limit.count(str(number))

    assert limit.seconds_to_wait("0") == 0
    assert limit.seconds_to_wait("1") > 0
