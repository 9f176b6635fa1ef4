"""Tests the MLflow runs of a sweep, in a real database."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from run_folders import CONFIGS, commit

from raycal import __version__
from raycal.config import ExperimentConfig
from raycal.experiment.build import REGISTRIES
from raycal.report.from_mlflow import runs_from_mlflow
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.seal import seal
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking.projection import Projection
from raycal.tracking.tags import run_name, trial_tags
from raycal.tracking.uri import tracking_uri

CONFIG = CONFIGS[0]
ID = CONFIG.experiment_id


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "storage" / "tiny")))


def runs(client: MlflowClient, name: str = "tiny") -> list[Run]:
    """All runs of the sweep, oldest first."""
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
    """The steps and values of a metric."""
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
        assert run.info.run_name == f"{config.resolved_scenario.name} s{config.seed} digits {config.experiment_id[-8:]}"
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
    assert set(lines[0]) - defined == {"cluster_label_error", "mean_cluster_purity", "pseudo_label_error"}
    assert set(child(client).data.metrics) == defined
    for key in defined:
        assert history(client, key) == [(line["interactions"], line[key]) for line in lines]


def test_sending_again_adds_nothing(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)
    RunWriter.of(sweep_dir, ID).finish("iterations")
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
    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    projection.send(ID, CONFIG)

    assert [run.data.tags["raycal.kind"] for run in runs(client)] == ["sweep"]


def test_finished_trial_says_why_and_on_what(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    assert child(client).info.status == "RUNNING"
    RunWriter.of(sweep_dir, ID).write_environment(
        {"device": "cpu", "dtype": "float32", "compiled": False, "threads": 2, "python": "3"}
    )
    RunWriter.of(sweep_dir, ID).finish("pool exhausted")
    projection.send(ID, CONFIG)
    projection.end("FINISHED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["raycal.status"] == "pool exhausted"
    tags = [run.data.tags[f"raycal.{key}"] for key in ("device", "dtype", "compiled", "threads")]
    assert tags == ["cpu", "float32", "False", "2"]


def test_failed_trial_says_why_even_before_its_first_iteration(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    RunWriter.of(sweep_dir, ID).fail("loading the dataset: InputError: too small\nmore\n")
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.end("FAILED")

    run = child(client)
    assert (parent(client).info.status, run.info.status) == ("FAILED", "FAILED")
    assert run.data.tags["raycal.status"] == "loading the dataset: InputError: too small"


def test_failed_trial_that_is_resumed_ends_as_finished(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, ID).fail("iteration 1: ValueError: a reason\n")
    first = Projection(uri, sweep_dir, "tiny")
    first.send(ID, CONFIG)
    first.end("FAILED")
    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    commit(sweep_dir, 1)
    second = Projection(uri, sweep_dir, "tiny")
    second.send(ID, CONFIG)
    assert child(client).info.status == "RUNNING"
    RunWriter.of(sweep_dir, ID).finish("iterations")
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
    RunWriter.of(sweep_dir, ID).stop("asha")
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
        RunWriter.of(sweep_dir, ID).begin(CONFIG)
        RunWriter.of(sweep_dir, ID).fail(f"iteration 1: ValueError: Traceback\n  {reason}\n")
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
    RunWriter.of(sweep_dir, ID).finish("iterations")
    first = Projection(uri, sweep_dir, "tiny")
    first.send(ID, CONFIG)
    first.end("FINISHED")
    other = CONFIGS[1]
    commit(sweep_dir, 0, other)
    RunWriter.of(sweep_dir, other.experiment_id).finish("iterations")
    second = Projection(uri, sweep_dir, "tiny")
    second.send(other.experiment_id, other)  # This is the only trial that is selected.
    second.end("FINISHED")

    assert [child(client, config.experiment_id).info.status for config in CONFIGS] == ["FINISHED", "FINISHED"]


def test_artifacts_of_a_trial(uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path) -> None:
    lines = [commit(sweep_dir, iteration) for iteration in range(2)]
    RunWriter.of(sweep_dir, ID).finish("iterations")
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
    RunWriter.of(sweep_dir, ID).fail("iteration 1: ValueError: a reason\n")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    files = {file.path for file in client.list_artifacts(child(client).info.run_id)}
    assert files == {"config.yaml", "results.jsonl", "ledger.parquet", "error.txt"}


def test_files_lie_beside_a_local_database(
    uri: str, sweep_dir: SweepDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, ID).finish("iterations")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert len(list((tmp_path / "storage" / "mlartifacts" / "tiny").rglob("ledger.parquet"))) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
def test_more_lines_than_a_batch_are_all_sent(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    steps = [commit(sweep_dir, iteration)["interactions"] for iteration in range(120)]
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert [step for step, _ in history(client, "test_loss")] == steps


class LosingClient(MlflowClient):
    """A client that raises an error after its second batch was stored, as if the answer was lost."""

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
    # The first batch has the params, and the second batch has the metrics.
    with pytest.raises(MlflowException, match="no answer"):
        projection.send(ID, CONFIG)
    projection.send(ID, CONFIG)

    assert history(client, "test_accuracy") == [(10, 0.25)]


class FailingClient(MlflowClient):
    """A client that fails before the params of a new run are stored."""

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


def artifacts(client: MlflowClient, run: Run, folder: str | None = None) -> set[str]:
    return {file.path for file in client.list_artifacts(run.info.run_id, folder) if not file.is_dir}


def test_tags_to_filter_by(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    environment = {"raycal": "0.0.7", "git": "abc-dirty", "device": "cpu", "threads": 2, "workers": 3}
    environment["clustering"] = "Faiss on the CPU"
    for config in CONFIGS:
        commit(sweep_dir, 0, config)
        RunWriter.of(sweep_dir, config.experiment_id).write_environment(environment)
        projection.send(config.experiment_id, config)

    samples, clusters = (child(client, config.experiment_id).data.tags for config in CONFIGS)
    assert clusters["num_clusters"] == "budget"
    assert clusters["purity_threshold"] == "0.8"
    # `samples` holds the tags of a trial whose scenario has no clusters.
    assert not {"num_clusters", "purity_threshold"} & set(samples)
    for tags in (samples, clusters):
        assert tags["mlflow.source.git.commit"] == "abc-dirty"
        assert [
            tags[f"raycal.{key}"] for key in ("version", "device", "threads", "workers", "clustering", "status")
        ] == [*("0.0.7", "cpu", "2", "3", "Faiss on the CPU", "running")]


@pytest.mark.parametrize(
    ("scenario", "acquisition", "begin", "tag"),
    [
        ("uncertain-only", "entropy", "uncertain-only s3 digits ", "entropy"),
        ("uncertain-only", "margin", "uncertain-only margin s3 digits ", "margin"),
        ("random", "margin", "random s3 digits ", None),
    ],
)
def test_acquisition_that_asks_is_in_the_run_s_name_and_tags(
    scenario: str, acquisition: str, begin: str, tag: str | None
) -> None:
    settings = {"dataset": "digits", "scenario": scenario, "acquisition": acquisition, "seed": 3}
    config = ExperimentConfig.model_validate(settings, context=REGISTRIES)

    assert run_name("digits-x-s3-01234567", config) == f"{begin}01234567"
    assert trial_tags(config, {}).get("acquisition") == tag


@pytest.mark.parametrize(
    ("scenario", "expert", "tag"),
    [
        ("cluster-only", {"name": "majority", "of": {"name": "few_images", "of": {"purity_threshold": 0.7}}}, "0.7"),
        ("cluster-only", {"name": "symmetric_noise"}, "0.8"),
        ("random", {"name": "symmetric_noise"}, None),
    ],
)
def test_purity_threshold_of_a_nested_expert_is_a_tag(scenario: str, expert: dict[str, Any], tag: str | None) -> None:
    settings = {"dataset": "digits", "scenario": scenario, "expert": expert}
    config = ExperimentConfig.model_validate(settings, context=REGISTRIES)

    assert trial_tags(config, {}).get("purity_threshold") == tag


def test_what_varies_is_in_the_run_s_name_and_the_folder_s_name_is_the_dataset(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    settings = {"dataset": {"name": "image_folder", "root": "~/birds/train"}, "scenario": "cluster-only"}
    configs = [
        ExperimentConfig.model_validate({**settings, "expert": {"purity_threshold": value}}, context=REGISTRIES)
        for value in (0.7, 0.8)
    ]
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={one.experiment_id: one for one in configs}, threads=1))
    projection = Projection(uri, sweep_dir, "tiny")
    for config in configs:
        commit(sweep_dir, 0, config)
        projection.send(config.experiment_id, config)

    for config, value in zip(configs, (0.7, 0.8), strict=True):
        run = child(client, config.experiment_id)
        name = f"cluster-only (purity threshold {value}) s0 {config.experiment_id[-8:]}"
        assert (run.info.run_name, run.data.tags["dataset"]) == (name, "birds")


def test_run_is_renamed_when_the_plan_grows_unless_a_person_named_it(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    def made(threshold: float, seed: int, root: str) -> ExperimentConfig:
        settings = {"dataset": {"name": "image_folder", "root": root}, "scenario": "cluster-only", "seed": seed}
        return ExperimentConfig.model_validate(
            {**settings, "expert": {"purity_threshold": threshold}}, context=REGISTRIES
        )

    first, named, second = made(0.7, 0, "/a/birds"), made(0.7, 1, "/a/birds"), made(0.9, 0, "/b/birds")
    plan = SweepPlan(sweep="tiny", experiments={one.experiment_id: one for one in (first, named)}, threads=1)
    sweep_dir.write_plan(plan)
    for config in (first, named):
        commit(sweep_dir, 0, config)
        Projection(uri, sweep_dir, "tiny").send(config.experiment_id, config)
    end = first.experiment_id[-8:]
    assert child(client, first.experiment_id).info.run_name == f"cluster-only s0 {end}"
    client.update_run(child(client, named.experiment_id).info.run_id, name="my favorite")

    sweep_dir.write_plan(replace(plan, experiments=plan.experiments | {second.experiment_id: second}))
    Projection(uri, sweep_dir, "tiny")

    run = child(client, first.experiment_id)
    assert run.info.run_name == f"cluster-only (purity threshold 0.7) s0 a/birds {end}"
    assert run.data.tags["dataset"] == "a/birds"
    assert child(client, named.experiment_id).info.run_name == "my favorite"


def test_trial_that_the_sweep_file_no_longer_asks_for_is_tagged_until_it_is_back(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    plan = SweepPlan(sweep="tiny", experiments={ID: CONFIG}, threads=1, axes=("seed",))
    sweep_dir.write_plan(plan)
    commit(sweep_dir, 0)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)
    assert "raycal.in_sweep_file" not in child(client, ID).data.tags

    for removed, tag in (((ID,), "no"), ((), "yes")):
        sweep_dir.write_plan(replace(plan, removed=removed))
        Projection(uri, sweep_dir, "tiny")
        assert child(client, ID).data.tags["raycal.in_sweep_file"] == tag


def test_dataset_is_the_input_of_a_run_once(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    dataset = {"digest": "0123456789abcdef", "num_train": 20, "num_test": 5, "num_classes": 10}
    for _ in range(2):
        projection = Projection(uri, sweep_dir, "tiny")
        commit(sweep_dir, 0)
        RunWriter.of(sweep_dir, ID).write_environment({"dataset": dataset})
        projection.send(ID, CONFIG)

    (found,) = child(client).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("digits", "0123456789abcdef")
    assert json.loads(found.dataset.profile) == {"num_train": 20, "num_test": 5, "num_classes": 10}
    assert json.loads(found.dataset.source) == {"options": CONFIG.dataset.options}


def test_montages_configuration_and_results_are_sent_as_they_appear(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    for iteration in range(2):
        commit(sweep_dir, iteration)
        RunWriter.of(sweep_dir, ID).write_montage(iteration, b"picture %d" % iteration)
        projection.send(ID, CONFIG)
        run = child(client)
        assert artifacts(client, run) == {"config.yaml", "results.jsonl"}
        names = [f"clusters/iteration-00{number}.png" for number in range(iteration + 1)]
        assert sorted(artifacts(client, run, "clusters")) == names

    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path / "storage")))
    assert (folder / "clusters" / "iteration-001.png").read_bytes() == b"picture 1"
    assert len((folder / "results.jsonl").read_text().splitlines()) == 2


def test_montage_that_is_there_is_not_sent_again(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, ID).write_montage(0, b"picture")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)
    sent: list[str] = []

    def log_artifacts(self: MlflowClient, run_id: str, folder: str, *_: Any) -> None:
        sent.extend(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())

    monkeypatch.setattr(MlflowClient, "log_artifacts", log_artifacts)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert sent == ["results.jsonl"]


def test_record_of_a_failure_goes_when_the_trial_goes_on(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, ID).fail("iteration 1: ValueError: a reason\n")
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)
    assert "error.txt" in artifacts(client, child(client))
    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    commit(sweep_dir, 1)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    run = child(client)
    assert "error.txt" not in artifacts(client, run)
    assert (run.info.status, run.data.tags["raycal.status"]) == ("RUNNING", "running")


def test_record_of_a_failure_says_that_it_is_outdated_where_nothing_can_be_deleted(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, artifact_path: str | None = None) -> None:
        raise NotImplementedError

    monkeypatch.setattr("mlflow.store.artifact.local_artifact_repo.LocalArtifactRepository.delete_artifacts", refuse)
    projection = Projection(uri, sweep_dir, "tiny")
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, ID).fail("iteration 1: ValueError: a reason\n")
    projection.send(ID, CONFIG)
    RunWriter.of(sweep_dir, ID).begin(CONFIG)
    RunWriter.of(sweep_dir, ID).finish("iterations")
    projection.send(ID, CONFIG)

    error = Path(client.download_artifacts(child(client).info.run_id, "error.txt", str(tmp_path)))
    assert error.read_text().startswith("The trial failed once and went on since")


def test_plan_and_report_are_artifacts_of_the_sweep(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={ID: CONFIG}, threads=1))
    projection = Projection(uri, sweep_dir, "tiny")
    assert artifacts(client, parent(client)) == {"plan.json", "trials.csv"}
    for name in ("summary.csv", "figures/a.svg", "owner/probes.csv"):
        sweep_dir.folder.write(f"report/{name}", name.encode())
    projection.end("FINISHED")

    run = parent(client)
    assert artifacts(client, run, "report") == {"report/summary.csv"}
    assert artifacts(client, run, "report/owner") == set()  # This folder is for the owner of a project alone.
    assert artifacts(client, run, "report/figures") == {"report/figures/a.svg"}
    file = Path(client.download_artifacts(run.info.run_id, "report/figures/a.svg", str(tmp_path)))
    assert file.read_bytes() == b"figures/a.svg"


def test_times_are_those_of_the_records(uri: str, client: MlflowClient, sweep_dir: SweepDir) -> None:
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={ID: CONFIG}, threads=1))
    for iteration in range(2):
        commit(sweep_dir, iteration)
    RunWriter.of(sweep_dir, ID).finish("iterations")
    projection = Projection(uri, sweep_dir, "tiny")
    projection.send(ID, CONFIG)
    projection.end("FINISHED")

    start = sweep_dir.run_dir(ID).start_time()
    assert start is not None
    run = child(client)
    times = [metric.timestamp for metric in client.get_metric_history(run.info.run_id, "test_loss")]
    assert (run.info.start_time, times, run.info.end_time) == (start, [start + 1750, start + 3500], start + 3500)
    top = parent(client).info
    assert (top.start_time, top.end_time) == (sweep_dir.start_time(), start + 3500)


def test_experiment_that_another_sweep_makes_meanwhile_is_taken(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = MlflowClient.get_experiment_by_name

    def make_it_first(self: MlflowClient, name: str) -> None:
        monkeypatch.setattr(MlflowClient, "get_experiment_by_name", find)
        # Without an artifact location, MLflow stores the files in the folder `mlruns` of the working directory.
        client.create_experiment(name, artifact_location=(tmp_path / "mlartifacts").as_uri())

    commit(sweep_dir, 0)
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", make_it_first)
    Projection(uri, sweep_dir, "tiny").send(ID, CONFIG)

    assert len(runs(client)) == 2


def test_experiment_that_cannot_be_made_is_an_error(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> str:
        raise MlflowException("no more experiments")

    monkeypatch.setattr(MlflowClient, "create_experiment", refuse)
    with pytest.raises(MlflowException, match="no more experiments"):
        Projection(uri, sweep_dir, "tiny")


def finished(sweep_dir: SweepDir) -> SweepDir:
    """Finish the two trials of a sweep."""
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={c.experiment_id: c for c in CONFIGS}, threads=1))
    for config in CONFIGS:
        commit(sweep_dir, 0, config)
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")
    return sweep_dir


def send_all(uri: str, sweep_dir: SweepDir) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    for config in CONFIGS:
        projection.send(config.experiment_id, config)
    projection.end("FINISHED")


def ids(client: MlflowClient) -> set[str]:
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return {run.info.run_id for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)}


def without_id(sweep_dir: SweepDir) -> None:
    """Turn the plan into one of an earlier version, which had no sweep ids."""
    record = json.loads(sweep_dir.folder.read("plan.json") or b"")
    del record["id"], record["sha256"]
    sweep_dir.folder.write("plan.json", seal(record, indent=1))


@pytest.mark.parametrize("has_id", [True, False])
def test_sweep_whose_folder_was_moved_keeps_its_runs(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path, has_id: bool
) -> None:
    finished(sweep_dir)
    if not has_id:
        without_id(sweep_dir)
    send_all(uri, sweep_dir)
    before = ids(client)
    moved = SweepDir(Folder.at(str(shutil.move(sweep_dir.folder.path, tmp_path / "elsewhere"))))
    commit(moved, 1)
    send_all(uri, moved)

    assert ids(client) == before
    assert len(before) == 3
    assert parent(client).data.tags["raycal.folder"] == str(tmp_path / "elsewhere")
    assert history(client, "test_accuracy") == [(10, 0.25), (20, 0.5)]


def test_folder_by_another_path_is_the_same_sweep(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    send_all(uri, finished(sweep_dir))
    (tmp_path / "link").symlink_to(sweep_dir.folder.path)
    before = ids(client)
    send_all(uri, SweepDir(Folder.at(str(tmp_path / "link"))))

    assert ids(client) == before


def test_copy_is_a_sweep_of_its_own_while_the_original_is_there(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    send_all(uri, finished(sweep_dir))
    before = ids(client)
    copy = SweepDir(Folder.at(str(shutil.copytree(sweep_dir.folder.path, tmp_path / "copy"))))
    send_all(uri, copy)
    with_copy = ids(client)
    send_all(uri, sweep_dir)
    send_all(uri, copy)

    assert (len(before), len(with_copy)) == (3, 6)
    assert ids(client) == with_copy


def test_new_sweep_in_the_folder_of_a_deleted_one_has_runs_of_its_own(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    send_all(uri, finished(sweep_dir))
    shutil.rmtree(sweep_dir.folder.path)
    send_all(uri, finished(sweep_dir))

    assert len(ids(client)) == 6


def test_runs_that_were_deleted_in_mlflow_are_restored_instead_of_doubled(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    send_all(uri, finished(sweep_dir))
    before = ids(client)
    client.delete_run(parent(client).info.run_id)
    client.delete_run(child(client).info.run_id)
    send_all(uri, sweep_dir)

    assert ids(client) == before
    assert {run.info.run_id for run in runs(client)} == before
    assert parent(client).info.status == "FINISHED"


def test_deleted_run_of_a_trial_that_is_not_sent_again_stays_deleted(
    uri: str, client: MlflowClient, sweep_dir: SweepDir
) -> None:
    projection = Projection(uri, finished(sweep_dir), "tiny")
    commit(sweep_dir, 1)
    projection.send(ID, CONFIG)
    client.delete_run(child(client).info.run_id)
    Projection(uri, sweep_dir, "tiny").end("KILLED")

    assert [run.data.tags["raycal.kind"] for run in runs(client)] == ["sweep"]


def test_experiment_that_was_deleted_in_mlflow_is_restored_and_that_is_said(
    uri: str, client: MlflowClient, sweep_dir: SweepDir, caplog: pytest.LogCaptureFixture
) -> None:
    send_all(uri, finished(sweep_dir))
    before = ids(client)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    send_all(uri, sweep_dir)

    assert {run.info.run_id for run in runs(client)} == before
    said = [record.message for record in caplog.records if record.name == "raycal.tracking.projection"]
    assert said == ["MLflow: the experiment tiny was deleted there and is restored, with its runs"]


def test_storage_that_was_moved_with_its_database_keeps_runs_and_their_files(
    uri: str, sweep_dir: SweepDir, tmp_path: Path
) -> None:
    send_all(uri, finished(sweep_dir))
    old = tmp_path / "storage"
    new = Path(shutil.move(old, tmp_path / "what? 100%20#"))
    moved = SweepDir(Folder.at(str(new / "tiny")))
    moved_uri = tracking_uri(None, moved)
    _artifact_repos_cache.clear()  # This cache of MLflow holds the old location of each run.
    send_all(moved_uri, moved)

    client = MlflowClient(tracking_uri=moved_uri)
    assert len(ids(client)) == 3
    assert artifacts(client, child(client)) == {"config.yaml", "results.jsonl", "ledger.parquet"}
    assert not old.exists()
    assert not any("%3F" in path.name for path in tmp_path.iterdir())


def test_storage_of_an_odd_name_is_written_and_read(sweep_dir: SweepDir, tmp_path: Path, empty_database: Path) -> None:
    odd = finished(SweepDir(Folder.at(str(tmp_path / "what? 100%20#" / "tiny"))))
    shutil.copy(empty_database, tmp_path / "what? 100%20#" / "mlflow.db")
    uri = tracking_uri(None, odd)
    send_all(uri, odd)

    read = runs_from_mlflow(uri, "tiny")
    assert [len(trial.lines) for trial in read.trials] == [1, 1]
    assert (tmp_path / "what? 100%20#" / "mlartifacts" / "tiny").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["what? 100%20#"]
