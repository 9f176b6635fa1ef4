import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from small_iterations import CONFIG, NUM_SAMPLES, model, result

from raycal.algorithm.records import (
    Interaction,
    IterationResult,
)
from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.storage.checkpoints import SavedState
from raycal.storage.folder import Folder
from raycal.storage.out_of_fold import OutOfFold, newest_out_of_fold
from raycal.storage.predictions import HoldoutPredictions, read_predictions
from raycal.storage.results import KEYS, iteration_record
from raycal.storage.run_dir import RunDir, TrialState
from raycal.storage.run_writer import RunWriter


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip `fsync`, because a test can read what was written without it."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunWriter:
    return RunWriter(Folder.at(str(tmp_path / "sweep" / CONFIG.experiment_id)))


@pytest.fixture
def three(run_dir: RunWriter) -> RunWriter:
    """A run of three committed iterations."""
    run_dir.begin(CONFIG)
    for iteration in range(3):
        run_dir.commit(result(iteration), model(iteration))
    return run_dir


def path(run_dir: RunWriter, name: str) -> Path:
    return Path(run_dir.folder.path, name)


def files(run_dir: RunWriter) -> dict[str, bytes]:
    """Every file that is not hidden, by its path below the folder of the run."""
    root = Path(run_dir.folder.path)
    found = (file for file in root.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {str(file.relative_to(root)): file.read_bytes() for file in found}


def iterations(run_dir: RunWriter) -> tuple[list[int], list[int]]:
    """The iterations in the results, and the iterations in the ledger."""
    table = pq.read_table(io.BytesIO(run_dir.ledger()))
    return [line["iteration"] for line in run_dir.results()], table["iteration"].to_pylist()


def assert_is_state_after(saved: SavedState | None, iteration: int) -> None:
    expected = result(iteration)
    assert saved is not None
    loop = saved.loop(NUM_SAMPLES)
    assert (loop.iteration, loop.interactions) == (iteration, iteration + 1)
    assert loop.human_seconds == expected.human_seconds
    assert loop.pool.status.tolist() == expected.pool.status.tolist()
    assert loop.pool.labels.tolist() == expected.pool.labels.tolist()
    assert [str(array.dtype) for array in (loop.pool.status, loop.pool.labels)] == ["int8", "int32"]
    assert loop.pool.purity is not None
    assert loop.pool.purity.tolist() == [0.75, *[1.0] * (NUM_SAMPLES - 1)]
    assert saved.model == model(iteration)


class TestWhole:
    def test_first_begin_writes_the_configuration_and_has_no_state(self, run_dir: RunWriter) -> None:
        assert run_dir.begin(CONFIG) is None
        assert yaml.safe_load(path(run_dir, "config.yaml").read_text()) == CONFIG.model_dump(mode="json")
        assert run_dir.config().experiment_id == CONFIG.experiment_id
        assert run_dir.results() == []
        assert iterations(run_dir) == ([], [])
        assert run_dir.state() is TrialState.RUNNING

    def test_configuration_of_an_own_scenario_is_read_back(self, run_dir: RunWriter) -> None:
        own = {"name": "own", "steps": [{"ask": "random", "share": "1/3"}, {"ask": "clusters", "share": "2/3"}]}
        config = ExperimentConfig.model_validate({"dataset": "digits", "scenario": own}, context=build.REGISTRIES)
        run_dir.begin(config)

        assert run_dir.config() == config
        assert run_dir.config().experiment_id == config.experiment_id

    def test_begin_after_commits_returns_the_newest_state(self, three: RunWriter) -> None:
        before = files(three)

        assert_is_state_after(three.begin(CONFIG), 2)
        assert files(three) == before
        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_commit_returns_the_line_it_wrote(self, run_dir: RunWriter) -> None:
        run_dir.begin(CONFIG)
        line = run_dir.commit(result(0, accuracy=0.75), model(0))

        assert (line["iteration"], line["interactions"], line["test_accuracy"]) == (0, 1, 0.75)
        assert run_dir.results() == [line]
        assert path(run_dir, "results.jsonl").read_text() == json.dumps(line) + "\n"

    def test_paths_are_the_contract(self, three: RunWriter) -> None:
        three.fail("something")

        assert set(files(three)) == {
            "config.yaml",
            "started.json",
            "results.jsonl",
            "error.txt",
            *(f"ledger/iteration-00{i}.parquet" for i in range(3)),
            *(f"state/iteration-00{i}.{end}" for i in (1, 2) for end in ("json", "pool.npz", "model.pt")),
        }

    def test_iteration_committed_twice_is_replaced(self, three: RunWriter) -> None:
        three.commit(result(2, accuracy=0.875), b"other model")

        assert iterations(three) == ([0, 1, 2], [0, 1, 2])
        assert three.results()[2]["test_accuracy"] == 0.875
        saved = three.begin(CONFIG)
        assert saved is not None
        assert saved.model == b"other model"

    def test_earlier_iteration_committed_again_ends_the_results_there(self, three: RunWriter) -> None:
        three.commit(result(1, accuracy=0.875), model(1))

        assert [line["iteration"] for line in three.results()] == [0, 1]

    def test_iterations_keep_their_order_beyond_a_thousand(self, run_dir: RunWriter) -> None:
        run_dir.begin(CONFIG)
        for iteration in (998, 999, 1000, 1001):
            run_dir.commit(result_without_pool(iteration), model(iteration))

        assert iterations(run_dir) == ([998, 999, 1000, 1001], [998, 999, 1000, 1001])
        saved = run_dir.begin(CONFIG)
        assert saved is not None
        assert (saved.iteration, saved.model) == (1001, model(1001))

    def test_other_configuration_replaces_the_file(self, run_dir: RunWriter) -> None:
        run_dir.begin(CONFIG)
        other = CONFIG.model_copy(update={"seed": 5})
        run_dir.begin(other)

        assert run_dir.config().seed == 5

    def test_start_is_the_first_one(self, run_dir: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
        assert run_dir.start_time() is None
        assert run_dir.state() is TrialState.PLANNED
        for nanoseconds in (1_500_000_000_123_456_789, 1_600_000_000_000_000_000):
            monkeypatch.setattr("time.time_ns", lambda now=nanoseconds: now)
            run_dir.begin(CONFIG)

        assert run_dir.start_time() == 1_500_000_000_123
        assert run_dir.state() is TrialState.RUNNING
        path(run_dir, "started.json").write_text("")
        assert run_dir.start_time() is None
        run_dir.begin(CONFIG)
        assert run_dir.start_time() == 1_600_000_000_000

    def test_ledger_of_an_iteration(self, three: RunWriter) -> None:
        assert [row.iteration for row in three.ledger_of(1)] == [1] * len(result(1).ledger)
        assert three.ledger_of(7) == ()

    def test_montages_by_iteration(self, three: RunWriter) -> None:
        for iteration in (2, 1000, 1):
            three.write_montage(iteration, b"picture")

        assert three.montages() == [f"clusters/iteration-{name}.png" for name in ("001", "002", "1000")]
        assert three.folder.read("clusters/iteration-002.png") == b"picture"
        assert [three.montage(iteration) for iteration in (0, 1)] == [None, b"picture"]

    def test_montage_of_an_iteration_that_is_redone_goes(self, three: RunWriter) -> None:
        for iteration in range(4):
            three.write_montage(iteration, b"picture")
        three.begin(CONFIG)

        assert three.montages() == [f"clusters/iteration-00{iteration}.png" for iteration in range(3)]

    def test_environment_is_read_back(self, run_dir: RunWriter) -> None:
        assert run_dir.environment() == {}
        run_dir.write_environment({"device": "cpu", "threads": 2})
        assert run_dir.environment() == {"device": "cpu", "threads": 2}

    def test_configuration_of_a_run_never_begun_is_missing(self, run_dir: RunWriter) -> None:
        with pytest.raises(FileNotFoundError, match=r"config\.yaml"):
            run_dir.config()


def result_without_pool(iteration: int) -> IterationResult:
    first = result(0)
    (row,) = first.ledger
    moved = Interaction(**{name: getattr(row, name) for name in row.__slots__} | {"iteration": iteration})
    fields = {name: getattr(first, name) for name in first.__slots__}
    return IterationResult(**fields | {"iteration": iteration, "interactions": iteration + 1, "ledger": (moved,)})


def test_record_of_another_version_is_kept_as_it_is(run_dir: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_another_version(result: IterationResult) -> dict[str, Any]:
        later_keys = ("optimizer_steps", "first_train_loss", "train_loss", "chance_accuracy", "pseudo_labeled")
        record = {key: value for key, value in iteration_record(result).items() if key not in later_keys}
        return record | {"of_another_version": [1, None]}

    run_dir.begin(CONFIG)
    with monkeypatch.context() as before:
        before.setattr("raycal.storage.run_writer.iteration_record", of_another_version)
        run_dir.commit(result(0), model(0))
    old = path(run_dir, "results.jsonl").read_bytes()

    now = RunWriter(run_dir.folder)
    assert_is_state_after(now.begin(CONFIG), 0)
    now.commit(result(1), model(1))
    first, second = now.results()

    assert path(run_dir, "results.jsonl").read_bytes().startswith(old)
    assert (first["of_another_version"], first.get("optimizer_steps", "none")) == ([1, None], "none")
    assert list(second) == list(KEYS)


def test_reader_has_the_results_of_the_writer_and_none_of_its_methods(three: RunWriter) -> None:
    reader = RunDir(three.folder)

    assert (reader.results(), reader.ledger(), reader.config()) == (three.results(), three.ledger(), CONFIG)
    written = {"begin", "commit", "finish", "stop", "fail", "forget_failure", "tidy"}
    assert {name for name in dir(RunWriter) if hasattr(reader, name) and name in written} == set()
    assert written <= set(dir(RunWriter))


class TestEnd:
    def test_finish_says_why_and_removes_the_models(self, three: RunWriter) -> None:
        three.finish("iterations")

        assert (three.state(), three.reason()) == (TrialState.FINISHED, "iterations")
        assert [name for name in files(three) if name.startswith("state/")] == ["state/finished.json"]
        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_stop_says_why_and_when_and_removes_the_models(self, three: RunWriter) -> None:
        three.stop("asha")

        assert (three.state(), three.reason()) == (TrialState.STOPPED, "asha")
        stopped = json.loads(path(three, "state/stopped.json").read_text())
        assert (stopped["reason"], stopped["iteration"]) == ("asha", 2)
        assert [name for name in files(three) if name.startswith("state/")] == ["state/stopped.json"]
        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_run_stopped_before_its_first_iteration_has_none(self, run_dir: RunWriter) -> None:
        run_dir.stop("asha")

        stopped = json.loads(path(run_dir, "state/stopped.json").read_text())
        assert (stopped["reason"], stopped["iteration"], stopped["files"]) == ("asha", None, {})

    def test_begin_on_a_stopped_run_leaves_it_as_it_is(self, three: RunWriter) -> None:
        three.stop("asha")
        before = files(three)

        assert three.begin(CONFIG) is None
        assert files(three) == before

    def test_run_that_finished_is_not_stopped(self, three: RunWriter) -> None:
        three.finish("iterations")
        three.stop("asha")

        assert (three.state(), three.reason()) == (TrialState.FINISHED, "iterations")

    def test_run_that_failed_has_ended_and_is_not_complete(self, three: RunWriter) -> None:
        three.fail("iteration 3: ValueError: a reason\n")

        state = three.state()
        assert (state, three.reason()) == (TrialState.FAILED, "iteration 3: ValueError: a reason\n")
        assert (state.has_ended, state.is_complete) == (True, False)

    def test_run_that_failed_while_it_was_ended_is_finished(self, three: RunWriter) -> None:
        three.finish("iterations")
        three.fail("saving iteration 2: OSError: the disk is full\n")

        assert (three.state(), three.reason()) == (TrialState.FINISHED, "iterations")

    @pytest.mark.parametrize("at", range(8))
    def test_crash_while_stopping_leaves_it_stopped_or_going_on(self, three: RunWriter, at: int) -> None:
        crashes = at < 7  # Stopping writes `state/stopped.json`, and then removes six files of two states.
        try:
            RunWriter(CrashingFolder.around(three.folder, Countdown(at))).stop("asha")
        except CrashError:
            assert crashes
        else:
            assert not crashes

        assert three.state() is (TrialState.STOPPED if at > 0 else TrialState.RUNNING)
        saved = three.begin(CONFIG)
        assert (saved is None) == (at > 0)
        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_unfinished_run_has_no_reason(self, three: RunWriter) -> None:
        assert (three.state(), three.reason()) == (TrialState.RUNNING, None)

    def test_run_of_a_crash_before_its_first_file_is_planned(self, run_dir: RunWriter) -> None:
        with pytest.raises(CrashError):
            RunWriter(CrashingFolder.around(run_dir.folder, Countdown(1))).begin(CONFIG)

        assert (run_dir.state(), run_dir.reason()) == (TrialState.PLANNED, None)

    def test_states_in_the_words_of_tables(self) -> None:
        outcomes = {state: state.outcome for state in TrialState}

        assert list(outcomes.values()) == ["unfinished", "unfinished", "finished", "stopped", "failed"]
        assert {state for state in TrialState if not state.has_ended} == {"planned", "running"}
        assert {state for state in TrialState if state.is_complete} == {"finished", "stopped"}

    def test_begin_on_a_finished_run_leaves_its_results_and_ledger(self, three: RunWriter) -> None:
        three.finish("iterations")
        three.begin(CONFIG)

        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_failure_is_recorded_until_the_next_begin(self, three: RunWriter) -> None:
        assert three.error() is None
        three.fail("iteration 3: ValueError: a reason\n")

        assert three.error() == "iteration 3: ValueError: a reason\n"
        assert path(three, "error.txt").read_text() == "iteration 3: ValueError: a reason\n"
        assert_is_state_after(three.begin(CONFIG), 2)
        assert three.error() is None

    def test_only_the_newest_two_states_are_kept(self, three: RunWriter) -> None:
        assert three.folder.folder("state").names("*.model.pt") == ["iteration-001.model.pt", "iteration-002.model.pt"]


class CrashError(BaseException):
    """Stands for a kill, because no code catches this exception."""


class Countdown:
    """Crashes at the given operation, counted from 0."""

    def __init__(self, at: int) -> None:
        self.left = at

    def tick(self) -> None:
        if self.left == 0:
            raise CrashError
        self.left -= 1


class CrashingFolder(Folder):
    """A folder whose process dies before the n-th file is written or removed."""

    countdown: Countdown

    @classmethod
    def around(cls, folder: Folder, countdown: Countdown) -> "CrashingFolder":
        crashing = cls(folder._filesystem, folder.path)
        crashing.countdown = countdown
        return crashing

    def folder(self, name: str) -> "CrashingFolder":
        return self.around(super().folder(name), self.countdown)

    def write(self, name: str, content: bytes) -> None:
        self.countdown.tick()
        super().write(name, content)

    def remove(self, name: str) -> None:
        self.countdown.tick()
        super().remove(name)


def run(run_dir: RunWriter, after_begin: Callable[[SavedState | None], None] = lambda saved: None) -> None:
    """Run an experiment of four iterations, from the iteration at which it stopped."""
    saved = run_dir.begin(CONFIG)
    after_begin(saved)
    for iteration in range(0 if saved is None else saved.iteration + 1, 4):
        run_dir.commit(result(iteration), model(iteration))
    run_dir.finish("iterations")


def crash_points(folder: Folder) -> int:
    """The number of files that an undisturbed run writes or removes."""
    countdown = Countdown(10_000)
    run(RunWriter(CrashingFolder.around(folder, countdown)))
    return 10_000 - countdown.left


NUM_CRASH_POINTS = 50


def test_crash_points_cover_the_run(tmp_path: Path) -> None:
    assert 30 < crash_points(Folder.at(str(tmp_path))) <= NUM_CRASH_POINTS


@pytest.mark.parametrize("at", range(NUM_CRASH_POINTS))
def test_crash_at_any_write_is_mended(tmp_path: Path, at: int) -> None:
    whole, stopped = (RunWriter(Folder.at(str(tmp_path / name))) for name in ("whole", "stopped"))
    run(whole)
    try:
        run(RunWriter(CrashingFolder.around(stopped.folder, Countdown(at))))
    except CrashError:
        if stopped.state() is not TrialState.FINISHED:
            manifests = stopped.folder.folder("state").names("iteration-*.json")
            newest = int(manifests[-1][len("iteration-") : -len(".json")]) if manifests else -1

            def check(saved: SavedState | None) -> None:
                assert iterations(stopped) == (list(range(newest + 1)), list(range(newest + 1)))
                if newest >= 0:
                    assert_is_state_after(saved, newest)
                else:
                    assert saved is None

            run(stopped, check)

    assert without_states(stopped) == without_states(whole)


def without_states(run_dir: RunWriter) -> dict[str, bytes]:
    return {
        name: content
        for name, content in files(run_dir).items()
        if not name.startswith(("state/iteration-", "started.json"))
    }


@pytest.mark.parametrize("at", range(NUM_CRASH_POINTS))
def test_no_model_is_left_behind_after_a_crash(tmp_path: Path, at: int) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    try:
        run(RunWriter(CrashingFolder.around(run_dir.folder, Countdown(at))))
    except CrashError:
        if run_dir.state() is TrialState.FINISHED:  # A finished run is not begun again.
            return
        run(run_dir)
    assert run_dir.folder.folder("state").names() == ["finished.json"]


@pytest.mark.parametrize("at", range(12))
def test_crash_while_mending_is_mended(tmp_path: Path, at: int) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    run_dir.begin(CONFIG)
    for iteration in range(3):
        run_dir.commit(result(iteration), model(iteration))
    path(run_dir, "state/iteration-002.json").unlink()
    try:
        RunWriter(CrashingFolder.around(run_dir.folder, Countdown(at))).begin(CONFIG)
    except CrashError:
        assert at < 6

    assert_is_state_after(run_dir.begin(CONFIG), 1)
    assert iterations(run_dir) == ([0, 1], [0, 1])


class TestDamage:
    @pytest.mark.parametrize("name", ["json", "pool.npz", "model.pt"])
    @pytest.mark.parametrize("damage", ["cut", "emptied", "one bit", "removed", "previous", "zeros"])
    def test_damaged_state_gives_way_to_the_one_before(self, three: RunWriter, name: str, damage: str) -> None:
        file = path(three, f"state/iteration-002.{name}")
        content = file.read_bytes()
        match damage:
            case "cut":
                file.write_bytes(content[: len(content) // 2])
            case "emptied":
                file.write_bytes(b"")
            case "one bit":
                file.write_bytes(flipped(content, 0))
            case "removed":
                file.unlink()
            case "previous":
                file.write_bytes(path(three, f"state/iteration-001.{name}").read_bytes())
            case "zeros":
                file.write_bytes(bytes(len(content)))

        assert_is_state_after(three.begin(CONFIG), 1)
        assert iterations(three) == ([0, 1], [0, 1])
        three.commit(result(2), model(2))
        assert_is_state_after(three.begin(CONFIG), 2)
        assert iterations(three) == ([0, 1, 2], [0, 1, 2])

    def test_flipped_bits_of_a_manifest_are_noticed(self, three: RunWriter) -> None:
        file = path(three, "state/iteration-002.json")
        content, results = file.read_bytes(), path(three, "results.jsonl").read_bytes()
        unnoticed: dict[int, str] = {}
        for position in range(0, len(content), 5):
            file.write_bytes(flipped(content, position))
            path(three, "results.jsonl").write_bytes(results)
            path(three, "ledger/iteration-002.parquet").write_bytes(b"")
            try:
                assert_is_state_after(three.begin(CONFIG), 1)
            except Exception as error:
                around = flipped(content, position)[max(0, position - 12) : position + 12]
                unnoticed[position] = f"{around!r}: {type(error).__name__}"

        assert unnoticed == {}

    @pytest.mark.parametrize("content", [b"3", b"[]", b"null", b'"a"', b'{"files": []}', b'{"files": {}}', b"\xff"])
    def test_manifest_of_other_json_is_passed_over(self, three: RunWriter, content: bytes) -> None:
        path(three, "state/iteration-002.json").write_bytes(content)

        assert_is_state_after(three.begin(CONFIG), 1)

    def test_models_in_each_others_place_start_the_run_again(self, three: RunWriter) -> None:
        first, second = (path(three, f"state/iteration-00{i}.model.pt") for i in (1, 2))
        one, two = first.read_bytes(), second.read_bytes()
        first.write_bytes(two)
        second.write_bytes(one)

        assert three.begin(CONFIG) is None
        assert iterations(three) == ([], [])

    def test_no_whole_state_starts_the_run_again(self, three: RunWriter) -> None:
        for name in three.folder.folder("state").names("*.json"):
            path(three, f"state/{name}").write_bytes(b"{")

        assert three.begin(CONFIG) is None
        assert iterations(three) == ([], [])

    @pytest.mark.parametrize("damage", ["removed", "emptied", "last line removed", "last line cut", "first line cut"])
    def test_damaged_results_are_mended(self, three: RunWriter, damage: str) -> None:
        file = path(three, "results.jsonl")
        content = file.read_bytes()
        match damage:
            case "removed":
                file.unlink()
            case "emptied":
                file.write_bytes(b"")
            case "last line removed":
                file.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
            case "last line cut":
                file.write_bytes(content[:-20])
            case "first line cut":
                file.write_bytes(content[20:])

        assert_is_state_after(three.begin(CONFIG), 2)
        assert file.read_bytes() == content


def flipped(content: bytes, position: int) -> bytes:
    """The content with one bit flipped."""
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def predictions(*predicted: int) -> HoldoutPredictions:
    return HoldoutPredictions(predicted=np.array(predicted, np.int32), labels=np.full(len(predicted), -1, np.int32))


def test_iteration_without_people_writes_no_predictions(three: RunWriter) -> None:
    assert [name for name in files(three) if name.startswith("people")] == []


def test_predictions_are_committed_with_their_iteration(run_dir: RunWriter) -> None:
    run_dir.begin(CONFIG)
    run_dir.commit(result(0), model(0), predictions(2, 0, 1))

    kept = read_predictions(run_dir.folder, 0)

    assert kept is not None
    assert (kept.predicted.tolist(), kept.labels.tolist()) == ([2, 0, 1], [-1, -1, -1])
    assert read_predictions(run_dir.folder, 1) is None


def test_predictions_of_an_iteration_that_was_not_committed_are_dropped(
    run_dir: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir.begin(CONFIG)
    run_dir.commit(result(0), model(0), predictions(2, 0, 1))
    monkeypatch.setattr(run_dir._states, "save", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        run_dir.commit(result(1), model(1), predictions(0, 0, 0))
    assert read_predictions(run_dir.folder, 1) is not None

    run_dir.begin(CONFIG)

    assert read_predictions(run_dir.folder, 0) is not None
    assert read_predictions(run_dir.folder, 1) is None


def test_predictions_for_d_l_of_an_iteration_that_was_not_committed_are_dropped(
    run_dir: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predicted(sample: int) -> OutOfFold:
        whole, probability = np.array([sample], np.int32), np.ones(1, np.float32)
        return OutOfFold(sample=whole, label=whole, predicted=whole, of_predicted=probability, of_label=probability)

    def newest() -> list[int]:
        found = newest_out_of_fold(run_dir.folder)
        return [] if found is None else found.sample.tolist()

    run_dir.begin(CONFIG)
    run_dir.commit(result(0), model(0), None, predicted(7))
    monkeypatch.setattr(run_dir._states, "save", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        run_dir.commit(result(1), model(1), None, predicted(8))
    assert newest() == [8]

    run_dir.begin(CONFIG)

    assert newest() == [7]
