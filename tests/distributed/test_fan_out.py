from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raycal.distributed import fan_out
from raycal.distributed.fan_out import _Reporter


class Clock:
    """A clock that the tests set."""

    now = 100.0

    def time(self) -> float:
        return self.now


class Heard:
    """A listener that records its events."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def scheduled(self, experiment_id: str) -> None:
        """Record nothing. Every start of a trial's process calls this method, and the tests make these starts
        themselves."""

    def started(self, experiment_id: str, seconds: float) -> None:
        self.told.append(("started", experiment_id, seconds))

    def iteration(self, experiment_id: str, line: Mapping[str, Any]) -> None:
        self.told.append(("iteration", experiment_id, line["iteration"]))

    def finished(self, experiment_id: str) -> None:
        self.told.append(("finished", experiment_id))

    def stopped(self, experiment_id: str, reason: str) -> None:
        self.told.append(("stopped", experiment_id, reason))

    def died(self, experiment_id: str, reason: str) -> None:
        self.told.append(("died", experiment_id, reason))


class Scene:
    """Stands for Tune: it calls the reporter as Tune does, at times that the test sets."""

    def __init__(self, clock: Clock, places: int = 1) -> None:
        self.clock, self.heard = clock, Heard()
        self.reporter = _Reporter(self.heard, places, "asha")
        self.trials: dict[str, Any] = {}

    def trial(self, name: str) -> Any:
        new = SimpleNamespace(trial_id=f"trial-{name}", config={"experiment_id": name}, last_result={}, error_file="")
        return self.trials.setdefault(name, new)

    def start(self, name: str, at: float) -> None:
        self.clock.now = at
        self.reporter.on_trial_start(0, [], self.trial(name))

    def result(self, name: str, at: float, **result: Any) -> None:
        self.clock.now = at
        self.reporter.on_trial_result(0, [], self.trials[name], result)
        self.trials[name].last_result = result

    def recover(self, name: str, at: float) -> None:
        self.clock.now = at
        self.reporter.on_trial_recover(0, [], self.trial(name))

    def complete(self, name: str, at: float) -> None:
        self.clock.now = at
        self.reporter.on_trial_complete(0, [], self.trials[name])

    def error(self, name: str, at: float, record: str = "") -> None:
        self.clock.now = at
        self.trials[name].error_file = record
        self.reporter.on_trial_error(0, [], self.trials[name])

    def told(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [words for words in self.heard.told if words[0] in kinds]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(fan_out, "time", clock)
    return clock


def test_start_counts_from_when_there_was_room(clock: Clock) -> None:
    scene = Scene(clock)
    scene.start("a", at=110)
    scene.result("a", at=131, iteration=0, started=130.0)
    scene.result("a", at=140, iteration=1, started=130.0)
    scene.complete("a", at=150)
    scene.start("b", at=151)
    scene.result("b", at=160, iteration=0, started=152.5)
    assert scene.told("started") == [("started", "a", 30.0), ("started", "b", 2.5)]
    assert scene.told("iteration") == [("iteration", "a", 0), ("iteration", "a", 1), ("iteration", "b", 0)]


def test_every_place_is_free_for_itself(clock: Clock) -> None:
    scene = Scene(clock, places=2)
    scene.start("a", at=101)
    scene.start("b", at=102)
    scene.result("b", at=111, iteration=0, started=110.0)
    scene.complete("b", at=120)
    scene.start("c", at=121)
    scene.result("c", at=124, iteration=0, started=123.0)
    scene.result("a", at=141, iteration=0, started=140.0)
    assert scene.told("started") == [("started", "b", 10.0), ("started", "c", 3.0), ("started", "a", 40.0)]


def test_trial_that_is_tried_again_takes_no_second_place(clock: Clock) -> None:
    scene = Scene(clock, places=2)
    scene.start("a", at=101)
    scene.result("a", at=111, iteration=0, started=110.0)
    scene.recover("a", at=150)
    scene.start("a", at=155)
    scene.result("a", at=171, iteration=1, started=170.0)
    scene.start("b", at=190)
    scene.result("b", at=201, iteration=0, started=200.0)
    assert scene.told("started") == [("started", "a", 10.0), ("started", "a", 70.0), ("started", "b", 50.0)]


def test_place_of_a_trial_that_died_before_it_began_waits_on(clock: Clock) -> None:
    scene = Scene(clock, places=2)
    scene.start("a", at=101)
    scene.recover("a", at=120)
    scene.start("a", at=121)
    scene.result("a", at=131, iteration=0, started=130.0)
    scene.start("b", at=132)
    scene.result("b", at=141, iteration=0, started=140.0)
    assert scene.told("started") == [("started", "a", 30.0), ("started", "b", 40.0)]


def test_trial_whose_process_never_came_up_frees_no_place(clock: Clock) -> None:
    scene = Scene(clock)
    scene.start("a", at=101)
    scene.recover("b", at=105)
    scene.result("a", at=111, iteration=0, started=110.0)
    scene.complete("a", at=120)
    scene.start("b", at=121)
    scene.result("b", at=131, iteration=0, started=130.0)
    assert scene.told("started") == [("started", "a", 10.0), ("started", "b", 10.0)]


def test_place_of_a_dead_trial_is_free_again(clock: Clock) -> None:
    scene = Scene(clock)
    scene.start("a", at=101)
    scene.result("a", at=111, iteration=0, started=110.0)
    scene.error("a", at=120)
    scene.start("b", at=121)
    scene.result("b", at=126, iteration=0, started=125.0)
    assert scene.told("started") == [("started", "a", 10.0), ("started", "b", 5.0)]


def test_ends_are_told_apart(clock: Clock, tmp_path: Path) -> None:
    scene = Scene(clock, places=4)
    record = tmp_path / "error.txt"
    record.write_text("the node is gone")
    ends: dict[str, dict[str, Any]] = {
        "well": {"ended": True, "iteration": 2},
        "early": {"iteration": 1},
        "badly": {"ended": True, "error": "its worker died 4 times"},
    }
    for name, result in ends.items():
        scene.start(name, at=100)
        scene.result(name, at=110, **result)
        scene.complete(name, at=110)
    scene.start("by Ray", at=100)
    scene.error("by Ray", at=110, record=str(record))
    assert scene.told("finished", "stopped", "died") == [
        ("finished", "well"),
        ("stopped", "early", "asha"),
        ("died", "badly", "its worker died 4 times"),
        ("died", "by Ray", "the node is gone"),
    ]


def test_end_is_no_iteration_though_it_holds_the_figures_of_the_last(clock: Clock) -> None:
    scene = Scene(clock)
    scene.start("a", at=100)
    scene.result("a", at=110, iteration=0, started=105.0)
    scene.result("a", at=111, iteration=0, started=105.0, ended=True)
    assert scene.told("iteration") == [("iteration", "a", 0)]


def test_trial_that_fails_before_it_begins_has_no_start(clock: Clock) -> None:
    scene = Scene(clock)
    scene.start("a", at=100)
    scene.result("a", at=110, started=None, ended=True)
    scene.complete("a", at=110)
    scene.start("b", at=111)
    scene.result("b", at=116, iteration=0, started=115.0)
    assert scene.told("started") == [("started", "b", 5.0)]
