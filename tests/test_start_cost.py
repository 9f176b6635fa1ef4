import pytest

from raycal import start_cost
from raycal.start_cost import StartCost


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(start_cost, "monotonic", lambda: now[0])
    return now


def test_share_is_of_the_time_of_all_places(clock: list[float]) -> None:
    cost = StartCost(places=2)
    for seconds in (20, 30, 0.5, 0.7, 0.8):
        cost.started(seconds)
    clock[0] += 52
    assert str(cost) == "trials started: the first 2 in 25 s, 3 more in 0.7 s each (median), 50% of their time"


def test_fewer_trials_than_places(clock: list[float]) -> None:
    cost = StartCost(places=1)
    cost.started(20)
    clock[0] += 200
    assert str(cost) == "trials started: the first 1 in 20 s (median), 10% of their time"


def test_nothing_started() -> None:
    assert str(StartCost(places=2)) == ""
