import pytest
from load import measure, percentile


@pytest.mark.slow
def test_fifty_people_lose_no_answer_and_hardly_wait() -> None:
    waited, lost, doubled, num_states = measure(people=50, seconds=5)

    assert (lost, doubled, len(waited["answers"])) == (0, 0, 250)
    assert percentile(waited["answers"], 95) < 0.5
    assert 50 <= num_states <= 50 * 16  # Each person gets at most two states a second.


def test_percentiles() -> None:
    values = [float(value) for value in range(1, 101)]

    assert [percentile(values, at) for at in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 95) == 7
