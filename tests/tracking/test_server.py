"""A tracking server in a separate process that becomes unreachable and returns while a sweep runs."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import pytest
from run_folders import CONFIGS, commit, content

from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CONFIG = CONFIGS[0]
ID = CONFIG.experiment_id


class Server:
    """`mlflow server` over a sqlite file, which also keeps the runs' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        place = f"--host=127.0.0.1 --port={self._port} --workers=1 --artifacts-destination={self._folder}/files"
        command = ["-m", "mlflow", "server", f"--backend-store-uri=sqlite:///{self._folder}/server.db", *place.split()]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self._folder,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # it would start seven more processes
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            return bool(urlopen(f"{self.uri}/health", timeout=5).status == 200)
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


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


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 180
    while not condition():
        assert monotonic() < end, "waited in vain"
        sleep(0.1)


def iterate(sweep_dir: SweepDir, tracker: Tracker, iteration: int) -> float:
    """Save an iteration with its montage and announce it to the tracker; return the seconds the announcement took."""
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
    sleep(3)  # time for several attempts
    assert tracker.backlog == 1
    server.start()
    wait_until(lambda: tracker.backlog == 0)
    iterate(sweep_dir, tracker, 3)
    RunWriter.of(sweep_dir, ID).finish("iterations")
    tracker.changed(ID)
    tracker.close("FINISHED")

    assert capfd.readouterr().out in ("", "sending to MLflow (up to 60 s)\n")  # the line appears on a busy machine
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
    assert tracker.is_alive()  # as a daemon thread, it does not keep the process alive
    server.signal(signal.SIGCONT)
    tracker.join(60)  # the tracker sends the rest once the server answers
    trial = next(run for name, run in content(server.uri, "tiny", tmp_path / "files").items() if name != "tiny")
    assert [step for step, *_ in trial["metrics"]["test_accuracy"]] == [10, 20]
