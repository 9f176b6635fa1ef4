import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_experiments import ONE_THREAD, Killed, Killer, experiment, outcome

from raycal.algorithm.records import IterationResult
from raycal.algorithm.scenario import SCENARIOS
from raycal.config import ExperimentConfig
from raycal.errors import InfrastructureError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.learner.learner import NetworkLearner
from raycal.storage.folder import Folder
from raycal.storage.results import iteration_record
from raycal.storage.run_writer import RunWriter

KEYS = [
    *("iteration", "interactions", "test_accuracy", "test_loss", "unlabeled", "labeled", "cluster_labeled"),
    *("annotated", "clusters_shown", "clusters_accepted", "cluster_label_error", "mean_cluster_purity"),
    *("pseudo_labeled", "pseudo_label_error"),
    *("human_seconds", "predict_seconds", "cluster_seconds", "train_seconds", "evaluate_seconds"),
    *("optimizer_steps", "first_train_loss", "train_loss", "chance_accuracy"),
]


def run(config: ExperimentConfig, folder: Path, *observers: Any) -> RunWriter:
    run_dir = RunWriter(Folder.at(str(folder)))
    run_experiment(config, run_dir, ONE_THREAD, observers=observers)
    return run_dir


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_run_folder_holds_what_the_contract_names(tmp_path: Path) -> None:
    run_dir = run(experiment(), tmp_path)

    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    ledger = {f"ledger/iteration-{iteration:03d}.parquet" for iteration in range(3)}
    montages = {f"clusters/iteration-{iteration:03d}.png" for iteration in range(3)}
    once = {"config.yaml", "results.jsonl", "environment.json", "started.json", "state/finished.json"}
    assert files == once | ledger | montages
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [KEYS] * 3
    assert [line["interactions"] for line in lines] == [10, 20, 30]
    assert all(line["annotated"] + line["unlabeled"] == 60 for line in lines)
    assert [line["labeled"] for line in lines] == [5, 10, 15]
    assert run_dir.environment()["threads"] == 1
    assert run_dir.environment()["clustering"] == "Faiss on the CPU"
    assert (run_dir.state(), run_dir.reason()) == ("finished", "iterations")


def test_records_no_clustering_where_none_ran(tmp_path: Path) -> None:
    assert "clustering" not in run(experiment(scenario="random", iterations=1), tmp_path).environment()


LIKE_OTHERS = ("pseudo-labels", "ceal", "uncertain-only", "cluster-only")


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    # Scenarios with pseudo-labels differ only in how they label, so one such scenario is enough in each test. The
    # scenarios that ask for samples and clusters do all that those for one of them do.
    [
        pytest.param(name, marks=pytest.mark.long if name in LIKE_OTHERS else ())
        for name in SCENARIOS
        if name != "supervised"
    ],
)
def test_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, scenario: str) -> None:
    config = experiment(scenario=scenario)
    whole = run(config, tmp_path / "whole")
    for after in (0, 2):  # The tests below end other experiments after the iteration in between.
        with pytest.raises(Killed):
            run(config, tmp_path / f"{after}", Killer(after))
        resumed = run(config, tmp_path / f"{after}")
        assert outcome(resumed) == outcome(whole)
        assert resumed.state() == "finished"


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"ask_with": "initial"},
        {"retrain_between": True},
        {"keep_cluster_labels": True, "training": {"image_size": 32, "epochs": 1, "cluster_weight": "purity"}},
        *({"acquisition": name} for name in ("badge", "typiclust")),
        *(
            pytest.param({"acquisition": name}, marks=pytest.mark.long, id=name)
            for name in ("bald", "core_set", "prob_cover")
        ),
        {"acquisition": {"name": "ensemble_vote_entropy", "members": 3}, "retrain_between": True},
        {"clustering": {"core": 0.8, "order": "value", "on_refusal": "split", "num_clusters": 3}},
        {"clustering": {"order": "random"}, "expert": "perfect_purity"},
        {
            "training": {
                "optimizer": "adamw",
                "schedule": "cosine",
                "warmup": 1,
                "augmentation": "flip+crop+trivial_augment",
                "stop": "converged",
                "steps": 4,
                "validation_fraction": 0.2,
                "monitor": "accuracy",
                "restore_best": True,
                "image_size": 32,
                "batch_size": 16,
            }
        },
        {
            "scenario": {
                "name": "own",
                "steps": [{"ask": "representatives", "share": "1/2"}, {"ask": "random", "share": "1/2"}],
                "pseudo_labels": {"name": "confident", "threshold": 0.3},
            },
            "clustering": {"order": "oracle"},
        },
    ],
    ids=str,
)
def test_variants_of_the_reading_resume_too(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = experiment(**settings)
    whole = run(config, tmp_path / "whole")
    with pytest.raises(Killed):
        run(config, tmp_path / "cut", Killer(1))
    assert outcome(run(config, tmp_path / "cut")) == outcome(whole)


PSEUDO = {"pseudo_labeled", "pseudo_label_error"}
OF_TRAINING = {"optimizer_steps", "first_train_loss", "train_loss", "chance_accuracy"}


@pytest.mark.slow
@pytest.mark.parametrize("missing", [PSEUDO, OF_TRAINING, PSEUDO | OF_TRAINING])
def test_run_begun_by_an_earlier_version_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[str]
) -> None:
    def as_before(result: IterationResult) -> dict[str, Any]:
        return {key: value for key, value in iteration_record(result).items() if key not in missing}

    config = experiment(iterations=2)
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as before:
        before.setattr("raycal.storage.run_writer.iteration_record", as_before)
        with pytest.raises(Killed):
            run(config, tmp_path / "old", Killer(0))

    resumed = run(config, tmp_path / "old")

    old, new = resumed.results()
    assert resumed.state() == "finished"
    assert set(KEYS) - old.keys() == missing
    assert list(new) == KEYS
    assert new["test_accuracy"] == whole.results()[1]["test_accuracy"]
    assert new["train_loss"] == whole.results()[1]["train_loss"]


@pytest.mark.slow
def test_steps_are_those_of_the_training_that_is_evaluated(tmp_path: Path) -> None:
    training = {"stop": "steps", "steps": 4, "image_size": 32, "batch_size": 8}
    between = experiment(scenario="uncertain+cluster", retrain_between=True, training=training)
    lines = run(between, tmp_path).results()

    assert [line["optimizer_steps"] for line in lines] == [4, 4, 4]
    assert all(line["chance_accuracy"] > 0.1 for line in lines)


def test_supervised_labels_the_whole_pool_in_one_iteration(tmp_path: Path) -> None:
    (line,) = run(experiment(scenario="supervised"), tmp_path).results()
    assert (line["interactions"], line["labeled"], line["unlabeled"]) == (60, 60, 0)


def test_exhausted_pool_ends_early_and_says_so(tmp_path: Path) -> None:
    run_dir = run(experiment(scenario="random", interactions_per_iteration=40, iterations=9), tmp_path)

    assert [line["interactions"] for line in run_dir.results()] == [40, 60]
    assert (run_dir.state(), run_dir.reason()) == ("finished", "pool exhausted")


def test_finished_run_is_not_run_again(tmp_path: Path) -> None:
    config = experiment(scenario="random", iterations=1)
    run(config, tmp_path)
    before = (tmp_path / "results.jsonl").stat().st_mtime_ns
    seen: list[Any] = []
    run(config, tmp_path, lambda line, result: seen.append(line))

    assert seen == []
    assert (tmp_path / "results.jsonl").stat().st_mtime_ns == before


def test_users_mistake_is_recorded_in_one_line(tmp_path: Path) -> None:
    config = experiment(dataset={"name": "image_folder", "root": "/no/such/folder"})
    run_dir = RunWriter(Folder.at(str(tmp_path)))

    assert not run_experiment(config, run_dir, ONE_THREAD)
    error = run_dir.error() or ""
    assert error.startswith("loading the dataset: InputError: ")
    assert "/no/such/folder" in error
    assert error.count("\n") == 1


def test_fault_in_the_code_is_recorded_with_its_place(tmp_path: Path) -> None:
    def broken(line: dict[str, Any], result: IterationResult) -> None:
        raise KeyError("left out")

    run_dir = RunWriter(Folder.at(str(tmp_path)))
    assert not run_experiment(experiment(), run_dir, ONE_THREAD, observers=(broken,))
    error = run_dir.error() or ""
    assert error.startswith("saving iteration 0: KeyError: ")
    assert "in broken" in error


def test_failure_is_forgotten_when_the_run_goes_on(tmp_path: Path) -> None:
    config = experiment(scenario="random", iterations=1)
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    run_dir.fail("the disk was full")

    assert run_experiment(config, run_dir, ONE_THREAD)
    assert run_dir.error() is None


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"ask_with": "initial"}, {"scenario": "cluster-only"}])
def test_kept_embeddings_of_the_pool_change_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    config = experiment(**settings)
    cold, warm = run(config, tmp_path / "cold"), run(config, tmp_path / "warm")
    monkeypatch.setenv("RAYCAL_CACHE", "/dev/null/nowhere")
    without = run(config, tmp_path / "without")

    assert outcome(cold) == outcome(warm) == outcome(without)
    assert len(cold.results()) == 3


@pytest.mark.slow
def test_pool_is_scored_once_when_the_initial_network_always_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, embeddings = list[int](), NetworkLearner._gathered_embeddings
    monkeypatch.setattr(
        NetworkLearner, "_gathered_embeddings", lambda self, rows: scored.append(len(rows)) or embeddings(self, rows)
    )
    for name in ("one", "other"):
        run(experiment(ask_with="initial"), tmp_path / name)
    assert scored == [60]

    # The backbone is the same at the beginning, and is trained afterwards.
    run(experiment(scenario="uncertain-only"), tmp_path / "previous")
    assert scored == [60, 50, 40]


class Gone:
    """A clustering whose process died at the first call."""

    def __init__(self, config: ExperimentConfig) -> None:
        self.calls, self._clustering = 0, build.clustering(config)

    def __call__(self, embeddings: Any, num_clusters: int, seed: int) -> Any:
        self.calls += 1
        if self.calls == 2:
            raise InfrastructureError("the clustering actor is gone")
        return self._clustering(embeddings, num_clusters, seed)


@pytest.mark.slow
def test_death_of_a_process_is_no_failure_of_the_experiment(tmp_path: Path) -> None:
    config = experiment(scenario="cluster-only")
    run_dir, clustering = RunWriter(Folder.at(str(tmp_path / "cut"))), Gone(config)
    with pytest.raises(InfrastructureError):
        run_experiment(config, run_dir, ONE_THREAD, clustering=clustering)

    assert run_dir.error() is None
    assert run_experiment(config, run_dir, ONE_THREAD, clustering=clustering)
    assert outcome(run_dir) == outcome(run(config, tmp_path / "whole"))


def test_failure_on_a_full_disk_ends_only_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Folder, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "write", full)
    assert not run_experiment(experiment(), RunWriter(Folder.at(str(tmp_path))), ONE_THREAD)
    assert "No space left on device" in caplog.text


def montages(run_dir: RunWriter) -> dict[str, bytes | None]:
    return {name: run_dir.folder.read(name) for name in run_dir.montages()}


@pytest.mark.slow
def test_crash_before_a_montage_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(experiment(), tmp_path / "whole")
    with monkeypatch.context() as patch:

        def crash(*_: Any) -> None:
            raise Killed

        patch.setattr("raycal.experiment.montage.draw", crash)
        with pytest.raises(Killed):
            run(experiment(), tmp_path / "crashed")
    resumed = run(experiment(), tmp_path / "crashed")

    assert len(montages(whole)) == 3
    assert montages(resumed) == montages(whole)


def test_montage_that_cannot_be_drawn_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no such color")

    monkeypatch.setattr("raycal.experiment.montage.draw", fail)
    run_dir = run(experiment(), tmp_path)

    assert (run_dir.state(), run_dir.reason()) == ("finished", "iterations")
    assert run_dir.montages() == []
    assert [record.message for record in caplog.records if "montage" in record.message] == [
        f"{tmp_path}: no montage of iteration 0: no such color"
    ]


@pytest.mark.slow
def test_montage_that_could_not_be_written_is_drawn_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(experiment(), tmp_path / "whole")
    left = [2]

    def write(self: RunWriter, *montage: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(28, "No space left on device")
        write_montage(self, *montage)

    write_montage = RunWriter.write_montage
    monkeypatch.setattr(RunWriter, "write_montage", write)
    run_dir = run(experiment(), tmp_path / "disturbed")

    assert len(montages(whole)) == 3
    assert montages(run_dir) == montages(whole)
    assert run_dir.damage() == []


def test_scenario_without_clusters_has_no_montage(tmp_path: Path) -> None:
    assert run(experiment(scenario="random"), tmp_path).montages() == []
