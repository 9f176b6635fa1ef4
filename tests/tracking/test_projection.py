"""The runs that MLflow shows of a sweep, in a real database."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from raycal import __version__, build
from raycal.algorithm.records import (
    Answer,
    Evaluation,
    Interaction,
    IterationResult,
    Kind,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.config import ExperimentConfig
from raycal.files import Folder
from raycal.plan import SweepDir
from raycal.tracking.projection import Projection

CONFIGS = [
    ExperimentConfig.model_validate({"dataset": "digits", "scenario": scenario, "seed": 3}, context=build.REGISTRIES)
    for scenario in ("random", "cluster-only")
]
CONFIG = CONFIGS[0]
ID = CONFIG.experiment_id


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    (tmp_path / "storage").mkdir()
    shutil.copy(empty_database, tmp_path / "storage" / "mlflow.db")
    return f"sqlite:///{tmp_path}/storage/mlflow.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "storage" / "tiny")))


def commit(sweep_dir: SweepDir, iteration: int, config: ExperimentConfig = CONFIG) -> dict[str, Any]:
    run_dir = sweep_dir.run_dir(config.experiment_id)
    if iteration == 0:
        run_dir.begin(config)
    row = Interaction(
        iteration=iteration,
        step=0,
        interaction=10 * (iteration + 1),
        kind=Kind.SAMPLE,
        answer=Answer.LABELLED,
        label=1,
        purity=None,
        wrong=0,
        seconds=4.25,
        indices=np.array([iteration], np.int64),
    )
    return run_dir.commit(
        IterationResult(
            iteration=iteration,
            interactions=10 * (iteration + 1),
            human_seconds=42.5 * (iteration + 1),
            ledger=(row,),
            pool=PoolSnapshot(status=np.ones(20, np.int8), labels=np.zeros(20, np.int32)),
            evaluation=Evaluation(accuracy=0.25 * (iteration + 1), loss=2.0),
            seconds=PhaseSeconds(predict=0.5, cluster=0.0, train=1.0, evaluate=0.25),
        ),
        b"model",
    )


def runs(client: MlflowClient, name: str = "tiny") -> list[Run]:
    """All runs of the sweep, the oldest first."""
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time)


def parent(client: MlflowClient) -> Run:
    (run,) = (run for run in runs(client) if run.data.tags["raycal.kind"] == "sweep")
    return run


def child(client: MlflowClient, experiment_id: str = ID) -> Run:
    (run,) = (run for run in runs(client) if run.data.tags.get("raycal.experiment_id") == experiment_id)
    return run


def history(client: MlflowClient, key: str) -> list[tuple[int, float]]:
    """Steps and values of a metric."""
    return [(m.step, m.value) for m in client.get_metric_history(child(client).info.run_id, key)]


def test_sweep_is_an_experiment_with_one_parent_and_a_child_per_trial(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    for config in CONFIGS:
        commit(sweep_dir, 0, config)
        projection.send(config.experiment_id, config)

    top = parent(client)
    assert len(runs(client)) == 3
    assert top.info.run_name == "tiny"
    assert top.data.tags["raycal.folder"] == sweep_dir.folder.path
    assert "mlflow.parentRunId" not in top.data.tags
    for config in CONFIGS:
        run = child(client, config.experiment_id)
        assert run.info.run_name == f"{config.steps.name} s{config.seed} digits {config.experiment_id[-8:]}"
        expected = {
            "raycal.kind": "trial",
            "raycal.experiment_id": config.experiment_id,
            "raycal.version": __version__,
            "mlflow.parentRunId": top.info.run_id,
            "scenario": str(config.scenario),
            "dataset": "digits",
            "seed": "3",
        }
        assert expected.items() <= run.data.tags.items()


def test_params_are_the_flat_configuration(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    params = child(client).data.params
    assert set(params) == set(CONFIG.flat())
    assert (params["training.learning_rate"], params["seed"], params["scenario"]) == ("0.001", "3", "random")
    assert params["clustering.num_clusters"] == "null"


def test_metrics_are_the_lines_at_their_interactions_without_what_is_undefined(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    lines = [commit(sweep_dir, iteration) for iteration in range(2)]
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    defined = {key for key, value in lines[0].items() if value is not None}
    assert set(lines[0]) - defined == {"cluster_label_error", "mean_cluster_purity"}
    assert set(child(client).data.metrics) == defined
    for key in defined:
        assert history(client, key) == [(line["interactions"], line[key]) for line in lines]


def test_sending_again_adds_nothing(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)
    sweep_dir.run_dir(ID).finish("iterations")
    projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)

    assert len(runs(client)) == 2
    assert history(client, "test_accuracy") == [(10, 0.25)]


def test_second_start_finds_the_same_runs_and_adds_only_new_steps(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    commit(sweep_dir, 0)
    first = Projection(uri, sweep_dir, "tiny")
    first.send(ID, CONFIG)
    first.end("KILLED")
    before = [run.info.run_id for run in runs(client)]
    commit(sweep_dir, 1)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert [run.info.run_id for run in runs(client)] == before
    assert history(client, "test_accuracy") == [(10, 0.25), (20, 0.5)]
    assert (parent(client).info.status, child(client).info.status) == ("RUNNING", "RUNNING")


def test_same_sweep_in_another_folder_has_runs_of_its_own(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    other = SweepDir(Folder.at(str(tmp_path / "other" / "tiny")))
    for folder in (sweep_dir, other):
        commit(folder, 0)
        Projection(uri, folder, "tiny").send(ID, CONFIG)

    kinds = sorted(run.data.tags["raycal.kind"] for run in runs(client))
    assert kinds == ["sweep", "sweep", "trial", "trial"]


def test_trial_without_an_iteration_has_no_run_yet(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    sweep_dir.run_dir(ID).begin(CONFIG)
    projection.send(ID, CONFIG)

    assert [run.data.tags["raycal.kind"] for run in runs(client)] == ["sweep"]


def test_finished_trial_says_why_and_on_what(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    assert child(client).info.status == "RUNNING"
    sweep_dir.run_dir(ID).write_environment({"device": "cpu", "dtype": "float32", "threads": 2, "python": "3"})
    sweep_dir.run_dir(ID).finish("pool exhausted")
    projection.send(ID, CONFIG)
    projection.end("FINISHED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["raycal.status"] == "pool exhausted"
    assert [run.data.tags[f"raycal.{key}"] for key in ("device", "dtype", "threads")] == ["cpu", "float32", "2"]


def test_failed_trial_says_why_even_before_its_first_iteration(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    sweep_dir.run_dir(ID).begin(CONFIG)
    sweep_dir.run_dir(ID).fail("loading the dataset: InputError: too small\nmore\n")
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.end("FAILED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FAILED", "FAILED")
    assert run.data.tags["raycal.status"] == "loading the dataset: InputError: too small"


def test_failed_trial_that_is_resumed_ends_as_finished(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    sweep_dir.run_dir(ID).fail("iteration 1: ValueError: a reason\n")
    first = Projection(uri, sweep_dir, "tiny")
    first.send(ID, CONFIG)
    first.end("FAILED")
    sweep_dir.run_dir(ID).begin(CONFIG)
    commit(sweep_dir, 1)
    second = Projection(uri, sweep_dir, "tiny")
    second.send(ID, CONFIG)
    assert child(client).info.status == "RUNNING"
    sweep_dir.run_dir(ID).finish("iterations")
    second.send(ID, CONFIG)
    second.end("FINISHED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["raycal.status"] == "iterations"


def test_trial_stopped_early_is_killed_says_so_and_has_its_artifacts(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    assert child(client).info.status == "RUNNING"
    commit(sweep_dir, 1)
    sweep_dir.run_dir(ID).stop("asha")
    projection.send(ID, CONFIG)
    projection.end("FINISHED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FINISHED", "KILLED")
    assert (run.data.tags["raycal.status"], run.data.tags["raycal.stopped_by"]) == ("stopped", "asha")
    assert history(client, "test_accuracy") == [(10, 0.25), (20, 0.5)]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"config.yaml", "results.jsonl", "ledger.parquet"}


def test_second_failure_of_a_trial_replaces_the_first(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    commit(sweep_dir, 0)
    for reason in ("first", "second"):
        sweep_dir.run_dir(ID).begin(CONFIG)
        sweep_dir.run_dir(ID).fail(f"iteration 1: ValueError: Traceback\n  {reason}\n")
        projection.send(ID, CONFIG)

    run_id = child(client).info.run_id
    error = Path(client.download_artifacts(run_id, "error.txt", str(tmp_path)))
    assert error.read_text() == "iteration 1: ValueError: Traceback\n  second\n"
    assert child(client).info.status == "FAILED"


def test_trial_that_is_stopped_in_the_middle_is_killed(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.end("KILLED")

    assert (parent(client).info.status, child(client).info.status) == ("KILLED", "KILLED")


def test_trial_finished_at_an_earlier_start_stays_finished(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    sweep_dir.run_dir(ID).finish("iterations")
    first = Projection(uri, sweep_dir, "tiny")
    first.send(ID, CONFIG)
    first.end("FINISHED")
    other = CONFIGS[1]
    commit(sweep_dir, 0, other)
    sweep_dir.run_dir(other.experiment_id).finish("iterations")
    second = Projection(uri, sweep_dir, "tiny")
    second.send(other.experiment_id, other)  # the only one asked for
    second.end("FINISHED")

    assert [child(client, config.experiment_id).info.status for config in CONFIGS] == ["FINISHED", "FINISHED"]


def test_artifacts_of_a_trial(uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path) -> None:
    lines = [commit(sweep_dir, iteration) for iteration in range(2)]
    sweep_dir.run_dir(ID).finish("iterations")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    run_id = child(client).info.run_id
    assert {file.path for file in client.list_artifacts(run_id)} == {"config.yaml", "results.jsonl", "ledger.parquet"}
    folder = Path(client.download_artifacts(run_id, "", str(tmp_path)))
    assert yaml.safe_load((folder / "config.yaml").read_text()) == CONFIG.model_dump(mode="json")
    assert [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()] == lines
    table = pq.read_table(io.BytesIO((folder / "ledger.parquet").read_bytes()))
    assert table["iteration"].to_pylist() == [0, 1]


def test_failed_trial_has_its_error_as_an_artifact(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    sweep_dir.run_dir(ID).fail("iteration 1: ValueError: a reason\n")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    files = {file.path for file in client.list_artifacts(child(client).info.run_id)}
    assert files == {"config.yaml", "results.jsonl", "ledger.parquet", "error.txt"}


def test_files_of_a_local_database_lie_in_the_storage_folder(uri: str, sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    sweep_dir.run_dir(ID).finish("iterations")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert len(list((tmp_path / "storage" / "mlartifacts" / "tiny").rglob("ledger.parquet"))) == 1


@pytest.mark.slow
def test_more_lines_than_a_batch_are_all_sent(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    steps = [commit(sweep_dir, iteration)["interactions"] for iteration in range(120)]
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert [step for step, _ in history(client, "test_loss")] == steps


class LosingClient(MlflowClient):
    """A client whose second batch arrives, but not the answer to it."""

    batches = 0

    def log_batch(self, *args: Any, **options: Any) -> Any:
        answer = super().log_batch(*args, **options)
        LosingClient.batches += 1
        if LosingClient.batches == 2:
            raise MlflowException("no answer within 20 s")
        return answer


def test_batch_whose_answer_was_lost_is_not_sent_twice(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raycal.tracking.projection.MlflowClient", LosingClient)
    monkeypatch.setattr(LosingClient, "batches", 0)
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    with pytest.raises(MlflowException, match="no answer"):  # the first batch has the params, the second metrics
        projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)

    assert history(client, "test_accuracy") == [(10, 0.25)]


class FailingClient(MlflowClient):
    """A client that breaks off before the params of a new run are there."""

    failures = 1

    def log_batch(self, *args: Any, **options: Any) -> Any:
        if FailingClient.failures:
            FailingClient.failures -= 1
            raise MlflowException("server is away")
        return super().log_batch(*args, **options)


def test_params_that_could_not_be_sent_are_sent_the_next_time(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raycal.tracking.projection.MlflowClient", FailingClient)
    monkeypatch.setattr(FailingClient, "failures", 1)
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    with pytest.raises(MlflowException, match="away"):
        projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)

    assert set(child(client).data.params) == set(CONFIG.flat())
    assert history(client, "test_accuracy") == [(10, 0.25)]
