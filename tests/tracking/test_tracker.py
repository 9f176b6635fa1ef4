import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import ClassVar

import pytest

from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking import Tracker, tracking_uri

URI = "http://localhost:5000"
WAIT_SECONDS = 5.0


class Server:
    """Records what a fake tracking server receives, and decides whether it answers."""

    def __init__(self) -> None:
        self.away = False
        self.reason = "server is away"
        self.refused = ""
        self.sent: list[str] = []
        self.ended: list[str] = []
        self.attempts = 0
        self.answers = Event()
        self.answers.set()

    def call(self) -> None:
        self.attempts += 1
        self.answers.wait()
        if self.away:
            raise ConnectionError(f"{self.reason}\nand a second line")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()

    class FakeProjection:
        pages: ClassVar = {"all trials": "/#/experiments/1"}

        def __init__(self, uri: str, sweep_dir: SweepDir, sweep: str) -> None:
            assert (uri, sweep) == (URI, "tiny")
            server.call()

        def send(self, experiment_id: str, config: ExperimentConfig) -> None:
            assert config.experiment_id == experiment_id
            server.call()
            if experiment_id == server.refused:
                raise ValueError("its folder cannot be read")
            server.sent.append(experiment_id)

        def describe(self, text: str) -> None:
            assert text

        def end(self, status: str) -> None:
            server.call()
            server.ended.append(status)

    monkeypatch.setattr("raycal.tracking.projection.Projection", FakeProjection)
    monkeypatch.setattr("raycal.tracking.tracker.RETRY_SECONDS", 0.02)
    monkeypatch.setattr("raycal.tracking.tracker.CLOSE_SECONDS", WAIT_SECONDS)
    yield server
    server.answers.set()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the environment variables that the tracker sets for MLflow after each test."""
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT", "GIT_PYTHON_REFRESH"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


@pytest.fixture
def experiments() -> dict[str, ExperimentConfig]:
    made = [
        ExperimentConfig.model_validate(
            {"dataset": "digits", "scenario": "random", "seed": seed}, context=build.REGISTRIES
        )
        for seed in range(3)
    ]
    return {config.experiment_id: config for config in made}


@pytest.fixture
def tracker(server: Server, sweep_dir: SweepDir, experiments: dict[str, ExperimentConfig]) -> Tracker:
    for experiment_id, config in experiments.items():
        RunWriter.of(sweep_dir, experiment_id).begin(config)
    return Tracker(URI, sweep_dir, "tiny", experiments)


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + WAIT_SECONDS
    while not condition():
        assert monotonic() < end, "waited in vain"
        sleep(0.005)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_everything_there_is_sent_at_the_start_and_the_end_is_told(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig], caplog: pytest.LogCaptureFixture
) -> None:
    tracker.start()
    tracker.close("FINISHED")

    assert sorted(server.sent) == sorted(experiments)
    assert server.ended == ["FINISHED"]
    assert not tracker.is_alive()
    assert warnings(caplog) == []


def test_change_is_sent_without_waiting_for_the_end(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig]
) -> None:
    tracker.start()
    wait_until(lambda: len(server.sent) == 3)
    first = next(iter(experiments))
    tracker.changed(first)
    wait_until(lambda: len(server.sent) == 4)

    assert server.sent[-1] == first
    tracker.close("FINISHED")
    assert len(server.sent) == 4


def test_two_quick_changes_are_both_sent(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig]
) -> None:
    tracker.start()
    wait_until(lambda: len(server.sent) == 3)
    server.sent.clear()
    first, second, _ = experiments
    tracker.changed(first)
    tracker.changed(second)
    wait_until(lambda: set(server.sent) == {first, second})

    tracker.close("FINISHED")


def test_change_while_the_same_experiment_is_sent_is_sent_after_it(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig]
) -> None:
    tracker.start()
    wait_until(lambda: len(server.sent) == 3)
    first = next(iter(experiments))
    server.sent.clear()
    server.answers.clear()
    attempts = server.attempts
    tracker.changed(first)
    wait_until(lambda: server.attempts == attempts + 1)  # The first change is being sent now.
    tracker.changed(first)
    server.answers.set()
    wait_until(lambda: server.sent == [first, first])

    tracker.close("FINISHED")


def test_server_that_hangs_holds_up_no_change(tracker: Tracker, server: Server) -> None:
    server.answers.clear()
    tracker.start()
    wait_until(lambda: server.attempts == 1)
    begin = monotonic()
    for _ in range(100):
        tracker.changed(next(iter(tracker._experiments)))

    assert monotonic() - begin < 0.5
    server.answers.set()
    tracker.close("FINISHED")


def test_server_that_is_away_is_warned_of_once_and_gets_everything_when_it_is_back(
    tracker: Tracker,
    server: Server,
    experiments: dict[str, ExperimentConfig],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.away = True
    tracker.start()
    wait_until(lambda: server.attempts >= 3)
    for experiment_id in experiments:
        tracker.changed(experiment_id)
    wait_until(lambda: server.attempts >= 8)

    assert warnings(caplog) == [f"MLflow at {URI}: server is away; trying again"]
    assert server.sent == []
    server.away = False
    wait_until(lambda: set(server.sent) == set(experiments))
    tracker.close("FINISHED")
    assert server.ended == ["FINISHED"]
    assert len(warnings(caplog)) == 1


def test_server_that_goes_away_in_between_misses_nothing(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig], caplog: pytest.LogCaptureFixture
) -> None:
    tracker.start()
    wait_until(lambda: len(server.sent) == 3)
    server.sent.clear()
    for _ in range(2):
        server.away = True
        for experiment_id in experiments:
            tracker.changed(experiment_id)
        server.attempts = 0
        wait_until(lambda: server.attempts > 2)
        server.away = False
        wait_until(lambda: set(server.sent) == set(experiments))
        server.sent.clear()

    tracker.close("FAILED")
    assert server.ended == ["FAILED"]
    assert warnings(caplog) == [f"MLflow at {URI}: server is away; trying again"] * 2


def test_close_with_the_server_away_returns_and_says_where_everything_is(
    tracker: Tracker, server: Server, sweep_dir: SweepDir, caplog: pytest.LogCaptureFixture
) -> None:
    server.away = True
    tracker.start()
    wait_until(lambda: server.attempts >= 2)
    begin = monotonic()
    tracker.close("FINISHED")

    assert monotonic() - begin < 1
    assert not tracker.is_alive()
    assert server.ended == []
    assert warnings(caplog)[-1] == (
        f"MLflow at {URI} did not take everything; it is all in {sweep_dir.folder.path}, "
        "and the same command with --resume sends it"
    )


def test_close_with_a_server_that_hangs_returns_within_its_limit(
    tracker: Tracker, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("raycal.tracking.tracker.CLOSE_SECONDS", 0.2)
    server.answers.clear()
    tracker.start()
    begin = monotonic()
    tracker.close("KILLED")

    assert 0.2 <= monotonic() - begin < 1
    assert tracker.daemon
    assert any("did not take everything" in message for message in warnings(caplog))


def test_sweep_that_mlflow_has_already_is_not_sent_again(
    server: Server,
    sweep_dir: SweepDir,
    experiments: dict[str, ExperimentConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setattr("test_tracker.URI", uri)
    (tmp_path / "mlflow.db").touch()
    for experiment_id, config in experiments.items():
        RunWriter.of(sweep_dir, experiment_id).begin(config)

    def start_again(text: str = "won") -> dict[str, str]:
        server.sent.clear()
        tracker = Tracker(uri, sweep_dir, "tiny", experiments)
        tracker.describe(text)
        tracker.close("FINISHED")
        return tracker.pages

    pages = {"all trials": "/#/experiments/1"}
    assert (start_again(), set(server.sent)) == (pages, set(experiments))
    attempts = server.attempts
    assert (start_again(), server.sent, server.attempts) == (pages, [], attempts)
    # Another description, a new file, and a change of the database are sent.
    assert (start_again("lost"), set(server.sent)) == (pages, set(experiments))
    assert (start_again("lost"), server.sent) == (pages, [])
    sweep_dir.folder.write("report/report.html", b"new")
    assert (start_again("lost"), set(server.sent)) == (pages, set(experiments))
    os.utime(tmp_path / "mlflow.db", (0, 0))
    assert (start_again("lost"), set(server.sent)) == (pages, set(experiments))


def test_experiment_that_has_not_begun_is_not_sent(
    server: Server, sweep_dir: SweepDir, experiments: dict[str, ExperimentConfig]
) -> None:
    first = next(iter(experiments))
    RunWriter.of(sweep_dir, first).begin(experiments[first])
    tracker = Tracker(URI, sweep_dir, "tiny", experiments)
    tracker.start()
    tracker.close("KILLED")

    assert server.sent == [first]


def test_backlog_counts_what_is_not_sent(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig]
) -> None:
    assert tracker.backlog == 0
    server.away = True
    tracker.start()
    wait_until(lambda: tracker.backlog == 3)
    for experiment_id in experiments:
        tracker.changed(experiment_id)
    assert tracker.backlog == 3
    server.away = False
    wait_until(lambda: tracker.backlog == 0)

    assert set(server.sent) == set(experiments)
    tracker.close("FINISHED")


def test_experiment_that_is_being_sent_is_in_the_backlog(
    tracker: Tracker, server: Server, experiments: dict[str, ExperimentConfig]
) -> None:
    tracker.start()
    wait_until(lambda: len(server.sent) == 3 and tracker.backlog == 0)
    server.answers.clear()
    attempts = server.attempts
    tracker.changed(next(iter(experiments)))
    wait_until(lambda: server.attempts == attempts + 1)

    assert tracker.backlog == 1
    server.answers.set()
    wait_until(lambda: tracker.backlog == 0)
    tracker.close("FINISHED")


def test_experiment_that_cannot_be_sent_holds_up_no_other(
    server: Server, sweep_dir: SweepDir, experiments: dict[str, ExperimentConfig]
) -> None:
    *others, last = experiments
    for experiment_id, config in experiments.items():
        RunWriter.of(sweep_dir, experiment_id).begin(config)
    tracker = Tracker(URI, sweep_dir, "tiny", experiments)
    server.refused = last
    tracker.start()
    wait_until(lambda: set(server.sent) == set(others))

    tracker.close("FINISHED")
    assert server.ended == []


def test_server_that_refuses_for_ever_is_told_of_once_and_asked_once(
    tracker: Tracker, server: Server, sweep_dir: SweepDir, caplog: pytest.LogCaptureFixture
) -> None:
    server.away, server.reason = True, 'password authentication failed for user "ann"'
    tracker.start()
    wait_until(lambda: not tracker.is_alive())
    tracker.close("FINISHED")

    assert server.attempts == 1
    assert warnings(caplog) == [
        f'MLflow at {URI}: password authentication failed for user "ann"; nothing more is sent. Correct this, and '
        f"python -m raycal.track {sweep_dir.folder.path} sends everything"
    ]


def test_password_is_in_no_warning(
    server: Server, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "http://ann:s3cret@localhost:5000"
    monkeypatch.setattr("test_tracker.URI", uri)
    server.away, server.reason = True, f"API request to {uri}/api failed: s3cret"
    tracker = Tracker(uri, sweep_dir, "tiny", {})
    tracker.start()
    wait_until(lambda: server.attempts >= 1)
    tracker.close("FINISHED")

    first, last = warnings(caplog)
    assert (
        first == "MLflow at http://localhost:5000: API request to http://localhost:5000/api failed: ***; trying again"
    )
    assert last.startswith("MLflow at http://localhost:5000 did not take everything")
    assert last.endswith("and the same command with --resume sends it")


def test_warning_names_how_to_go_on(server: Server, sweep_dir: SweepDir, caplog: pytest.LogCaptureFixture) -> None:
    server.away, server.reason = True, "away"
    tracker = Tracker(URI, sweep_dir, "tiny", {})
    tracker.again = "the same command"
    tracker.start()
    wait_until(lambda: server.attempts >= 1)
    tracker.close("FINISHED")

    assert warnings(caplog)[-1].endswith(", and the same command sends it")


class TestUri:
    def test_sweep_file_comes_first(self, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other:5000")

        assert tracking_uri(URI, sweep_dir) == URI
        assert tracking_uri(None, sweep_dir) == "http://other:5000"

    def test_sqlite_file_in_the_storage_folder_otherwise(self, sweep_dir: SweepDir, tmp_path: Path) -> None:
        assert tracking_uri(None, sweep_dir) == f"sqlite:///{tmp_path}/mlflow.db"

    def test_remote_storage_needs_a_server(self) -> None:
        with pytest.raises(InputError) as refused:
            tracking_uri(None, SweepDir(Folder.at("mock:///bucket/tiny")))

        assert refused.value.problems == (
            "tracking.uri: name an MLflow server, or set MLFLOW_TRACKING_URI: --storage is not local",
        )


def test_long_wait_at_the_end_is_said(
    tracker: Tracker, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("raycal.tracking.tracker.CLOSE_SECONDS", 1.0)
    monkeypatch.setattr("raycal.tracking.tracker.UNSAID_SECONDS", 0.1)
    server.answers.clear()
    tracker.start()
    begin = monotonic()
    tracker.close("FINISHED")

    assert capsys.readouterr().out == "sending to MLflow (up to 1 s)\n"
    assert 1 <= monotonic() - begin < 2


def test_short_wait_at_the_end_is_not_said(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    tracker.start()
    tracker.close("FINISHED")

    assert capsys.readouterr().out == ""


def test_server_that_was_away_at_the_start_is_not_warned_of_again(
    tracker: Tracker, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.away = True
    tracker.is_known_away = True
    tracker.start()
    wait_until(lambda: server.attempts >= 3)
    assert warnings(caplog) == []
    server.away = False
    wait_until(lambda: len(server.sent) == 3)
    server.away = True
    tracker.changed(server.sent[0])

    wait_until(lambda: warnings(caplog) == [f"MLflow at {URI}: server is away; trying again"])
    tracker.close("FINISHED")


def test_sweep_of_which_nothing_was_sent_has_no_page(tracker: Tracker, server: Server) -> None:
    server.away = True
    tracker.start()
    wait_until(lambda: server.attempts >= 1)
    tracker.close("FINISHED")

    assert tracker.pages == {}


def test_database_that_is_away_is_given_up_at_once(
    sweep_dir: SweepDir, experiments: dict[str, ExperimentConfig], caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Tracker("postgresql+psycopg2://ann:s3cret@127.0.0.1:1/d", sweep_dir, "tiny", experiments)
    tracker.start()
    wait_until(lambda: len(warnings(caplog)) == 1)
    begin = monotonic()
    tracker.close("FINISHED")

    assert monotonic() - begin < 3
    first, last = warnings(caplog)
    assert first.startswith("MLflow at postgresql+psycopg2://127.0.0.1:1/d: no answer from ")
    assert first.endswith("; trying again")
    assert "did not take everything" in last
    assert "s3cret" not in first + last
