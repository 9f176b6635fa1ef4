import pytest

from raycal.monitor import startup
from raycal.monitor.startup import StartCost


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(startup, "monotonic", lambda: now[0])
    return now


def test_share_is_of_the_time_of_all_places(clock: list[float]) -> None:
    cost = StartCost(places=2)
    for seconds in (20, 30, 0.5, 0.7, 0.8):
        cost.started(seconds)
    clock[0] += 52
    assert str(cost) == (
        "starting took 25 s for each of the first 2 trials and 0.7 s for each of the other 3 trials (medians), "
        "together 50% of the time that was available for trials"
    )


def test_fewer_trials_than_places(clock: list[float]) -> None:
    cost = StartCost(places=1)
    cost.started(20)
    clock[0] += 200
    assert str(cost) == "starting took 20 s for the first trial, 10% of the time that was available for trials"


def test_nothing_started() -> None:
    assert str(StartCost(places=2)) == ""


def test_one_trial_after_the_first(clock: list[float]) -> None:
    cost = StartCost(places=1)
    for seconds in (20, 0.5):
        cost.started(seconds)
    clock[0] += 82
    assert str(cost) == (
        "starting took 20 s for the first trial and 0.5 s for the other one, together 25% of the time that was "
        "available for trials"
    )


def test_several_places_without_a_later_trial(clock: list[float]) -> None:
    cost = StartCost(places=2)
    for seconds in (20, 28):
        cost.started(seconds)
    clock[0] += 30
    assert str(cost) == (
        "starting took 24 s for each of the first 2 trials (median), together 80% of the time that was available "
        "for trials"
    )
