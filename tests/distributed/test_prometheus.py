import json
import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from ray.util import metrics as ray_metrics

from raycal.config import ExperimentConfig
from raycal.distributed import prometheus as module
from raycal.distributed.prometheus import Recorder, metered
from raycal.monitor.sweep_metrics import TABLE
from raycal.storage.folder import Folder
from raycal.storage.results import SECONDS
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

CONFIG = ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random", "iterations": 3})
OTHER = ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random", "iterations": 3, "seed": 1})
LINE = dict.fromkeys(SECONDS, 1.0) | {
    "iteration": 0,
    "interactions": 10,
    "test_accuracy": 0.5,
    "annotated": 10,
    "clusters_shown": 0,
    "clusters_accepted": 0,
    "cluster_label_error": None,
    "human_seconds": 40.0,
}
ONE, TWO = CONFIG.experiment_id, OTHER.experiment_id


class Gauges:
    """Records the gauges that are made, and the value to which each gauge was last set."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, tuple[str, ...]]] = []
        self.values: dict[tuple[str, ...], float] = {}
        self.sets = 0
        self.failing = False

    def __call__(self, name: str, description: str, labels: tuple[str, ...]) -> "Gauges._Gauge":
        self.made.append((name, description, labels))
        return Gauges._Gauge(self, name)

    class _Gauge:
        def __init__(self, gauges: "Gauges", name: str) -> None:
            self.gauges, self.name = gauges, name

        def set(self, value: float, labels: dict[str, str]) -> None:
            self.gauges.sets += 1
            if self.gauges.failing:
                raise RuntimeError("no agent\nand a second line")
            self.gauges.values[self.name, *labels.values()] = value


class FakeListener:
    """A listener that records its events."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, event: str) -> Callable[..., None]:
        return lambda *arguments: self.heard.append((event, *arguments))


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> Gauges:
    gauges = Gauges()
    monkeypatch.setattr(ray_metrics, "Gauge", gauges)
    monkeypatch.setattr(module, "RECORD_SECONDS", 0.01)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 10.0)
    return gauges


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


@pytest.fixture
def recorder(gauges: Gauges, sweep_dir: SweepDir) -> Recorder:
    return Recorder("tiny", sweep_dir, {ONE: CONFIG, TWO: OTHER}, 2, lambda: 5)


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 5
    while not condition():
        assert monotonic() < end, "waited in vain"
        sleep(0.005)


def trials(gauges: Gauges) -> dict[str, float]:
    return {key[2]: value for key, value in gauges.values.items() if key[0] == "raycal_trials" and value}


def test_events_reach_the_listener_and_the_gauges(recorder: Recorder, gauges: Gauges, sweep_dir: SweepDir) -> None:
    listener = FakeListener()
    with metered(listener, recorder) as both:  # type: ignore[arg-type]
        wait_until(lambda: trials(gauges) == {"planned": 2})
        both.scheduled(ONE)
        both.started(ONE, 20.0)
        both.iteration(ONE, LINE)
        wait_until(lambda: trials(gauges) == {"planned": 1, "running": 1})
        wait_until(lambda: gauges.values.get(("raycal_iterations", "tiny", "digits", "random")) == 1)
        RunWriter.of(sweep_dir, ONE).finish("iterations")
        both.finished(ONE)
        both.scheduled(TWO)
        both.died(TWO, "out of memory")
        wait_until(lambda: trials(gauges) == {"finished": 1, "failed": 1})

    assert listener.heard == [
        ("scheduled", ONE),
        ("started", ONE, 20.0),
        ("iteration", ONE, LINE),
        ("finished", ONE),
        ("scheduled", TWO),
        ("died", TWO, "out of memory"),
    ]
    assert gauges.values["raycal_start_seconds", "tiny"] == 20
    assert gauges.values["raycal_tracking_backlog", "tiny"] == 0
    assert not recorder.is_alive()


def test_trial_stopped_by_the_scheduler_is_no_failure(recorder: Recorder, gauges: Gauges, sweep_dir: SweepDir) -> None:
    listener = FakeListener()
    with metered(listener, recorder) as both:  # type: ignore[arg-type]
        both.scheduled(ONE)
        RunWriter.of(sweep_dir, ONE).stop("asha")
        both.stopped(ONE, "asha")
        wait_until(lambda: trials(gauges) == {"planned": 1, "stopped": 1})

    assert listener.heard == [("scheduled", ONE), ("stopped", ONE, "asha")]


def test_gauges_are_made_once_as_the_table_says(recorder: Recorder, gauges: Gauges) -> None:
    recorder.start()
    wait_until(lambda: gauges.sets > 200)
    recorder.close()

    assert len(gauges.made) > 10
    for name, description, labels in gauges.made:
        assert (description, labels) == (TABLE[name].description, TABLE[name].labels)
    assert len({name for name, _, _ in gauges.made}) == len(gauges.made)


def test_gauge_is_set_again_when_nothing_changes_as_ray_forgets_it(recorder: Recorder, gauges: Gauges) -> None:
    recorder.start()
    wait_until(lambda: gauges.sets > 0)
    gauges.values.clear()
    wait_until(lambda: gauges.values.get(("raycal_tracking_backlog", "tiny")) == 5)

    recorder.close()


def test_earlier_start_of_the_sweep_counts(recorder: Recorder, gauges: Gauges, sweep_dir: SweepDir) -> None:
    run_dir = RunWriter.of(sweep_dir, ONE)
    run_dir.folder.write("results.jsonl", json.dumps(LINE).encode() + b"\n")
    run_dir.stop("asha")
    recorder.start()
    wait_until(lambda: trials(gauges) == {"planned": 1, "stopped": 1})
    recorder.close()

    assert gauges.values["raycal_iterations", "tiny", "digits", "random"] == 1
    assert gauges.values["raycal_planned_iterations", "tiny", "digits", "random"] == 1 + 3


def test_nothing_is_under_way_after_an_interruption(recorder: Recorder, gauges: Gauges) -> None:
    def interrupted() -> None:
        with metered(FakeListener(), recorder) as both:  # type: ignore[arg-type]
            both.scheduled(ONE)
            wait_until(lambda: trials(gauges) == {"planned": 1, "running": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert trials(gauges) == {}
    assert ("raycal_trials", "tiny", "running") in gauges.values


def test_failure_is_told_once_and_is_none_of_the_sweep(
    recorder: Recorder, gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    gauges.failing = True
    with metered(FakeListener(), recorder) as both:  # type: ignore[arg-type]
        wait_until(lambda: gauges.sets > 3)
        both.scheduled(ONE)
        gauges.failing = False
        wait_until(lambda: trials(gauges) == {"planned": 1, "running": 1})

    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["metrics: RuntimeError: no agent"]


def test_disk_that_hangs_holds_up_neither_events_nor_the_end(
    recorder: Recorder, gauges: Gauges, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(SweepDir, "run_dir", lambda *arguments: sleep(0.5))
    begin = monotonic()
    with metered(FakeListener(), recorder) as both:  # type: ignore[arg-type]
        for _ in range(1000):
            both.iteration(ONE, LINE)

    assert monotonic() - begin < 0.4
    recorder.join()
    assert gauges.sets == 0  # Ray may have ended after `close`.
