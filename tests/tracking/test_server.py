"""Tests a tracking server that becomes unreachable while a sweep runs, and later answers again."""

import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from run_folders import CONFIGS, commit, content
from tracking_server import Server, wait_until

from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CONFIG = CONFIGS[0]
ID = CONFIG.experiment_id


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in {"MAX_RETRIES": "1", "TIMEOUT": "20"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    monkeypatch.setattr("raycal.tracking.tracker.RETRY_SECONDS", 0.5)
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "storage" / "tiny")))
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={ID: CONFIG}, threads=1))
    return sweep_dir


def iterate(sweep_dir: SweepDir, tracker: Tracker, iteration: int) -> float:
    """Save an iteration with its montage and announce it to the tracker. Return the seconds that the announcement
    took."""
    commit(sweep_dir, iteration)
    RunWriter.of(sweep_dir, ID).write_montage(iteration, b"%d" % iteration)
    begin = monotonic()
    tracker.changed(ID)
    return monotonic() - begin


def test_server_that_was_away_has_everything_once(
    server: Server, sweep_dir: SweepDir, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = Tracker(server.uri, sweep_dir, "tiny", {ID: CONFIG})
    tracker.start()
    assert iterate(sweep_dir, tracker, 0) < 0.1
    wait_until(lambda: tracker.backlog == 0)
    RunWriter.of(sweep_dir, ID).fail("iteration 1: ValueError: a reason\n")
    tracker.changed(ID)
    wait_until(lambda: tracker.backlog == 0)
    before = content(server.uri, "tiny", tmp_path / "before")
    server.stop()

    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    assert max(iterate(sweep_dir, tracker, iteration) for iteration in (1, 2)) < 0.1
    sleep(3)  # This is time for several attempts.
    assert tracker.backlog == 1
    server.start()
    wait_until(lambda: tracker.backlog == 0)
    iterate(sweep_dir, tracker, 3)
    RunWriter.of(sweep_dir, ID).finish("iterations")
    tracker.changed(ID)
    tracker.close("FINISHED")

    # The line appears only on a busy machine.
    assert capfd.readouterr().out in ("", "sending to MLflow (up to 60 s)\n")
    after = content(server.uri, "tiny", tmp_path / "after")
    assert after.keys() == before.keys()
    trial = next(run for name, run in after.items() if name != "tiny")
    assert [after["tiny"]["status"], trial["status"]] == ["FINISHED", "FINISHED"]
    assert len(trial["metrics"]) == 20
    for points in trial["metrics"].values():
        assert [step for step, *_ in points] == [10, 20, 30, 40]
    assert [value for *_, value in trial["metrics"]["test_accuracy"]] == [0.25, 0.5, 0.75, 1.0]
    failed = next(run for name, run in before.items() if name != "tiny")
    assert "error.txt" in failed["artifacts"]
    montages = {f"clusters/iteration-00{iteration}.png" for iteration in range(4)}
    assert set(trial["artifacts"]) == {"config.yaml", "results.jsonl", "ledger.parquet"} | montages


def test_close_waits_no_longer_than_its_limit_for_a_server_that_hangs(
    server: Server, sweep_dir: SweepDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raycal.tracking.tracker.CLOSE_SECONDS", 2.0)
    tracker = Tracker(server.uri, sweep_dir, "tiny", {ID: CONFIG})
    tracker.start()
    iterate(sweep_dir, tracker, 0)
    wait_until(lambda: tracker.backlog == 0)
    server.signal(signal.SIGSTOP)
    assert iterate(sweep_dir, tracker, 1) < 0.1
    begin = monotonic()
    tracker.close("KILLED")

    assert 1.9 < monotonic() - begin < 4
    assert tracker.is_alive()  # The tracker is a daemon thread, so it does not keep the process alive.
    server.signal(signal.SIGCONT)
    tracker.join(60)  # The tracker sends the remaining data once the server answers.
    trial = next(run for name, run in content(server.uri, "tiny", tmp_path / "files").items() if name != "tiny")
    assert [step for step, *_ in trial["metrics"]["test_accuracy"]] == [10, 20]
