"""Tests the views with which MLflow opens a sweep."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH
from run_folders import CONFIGS, commit

from raycal.config import ExperimentConfig
from raycal.experiment.build import REGISTRIES
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking.names import names_in
from raycal.tracking.projection import Projection
from raycal.tracking.tags import trial_metrics
from raycal.tracking.views import ChartedTrial, View, sweep_views

BASE: dict[str, Any] = {"dataset": "digits", "iterations": 3, "interactions_per_iteration": 20}


def configs(*changes: dict[str, Any]) -> list[ExperimentConfig]:
    return [ExperimentConfig.model_validate(BASE | change, context=REGISTRIES) for change in changes]


def plan_of(experiments: list[ExperimentConfig]) -> SweepPlan:
    return SweepPlan(sweep="tiny", experiments={config.experiment_id: config for config in experiments}, threads=1)


def views(*changes: dict[str, Any], ends: tuple[int | None, ...] = ()) -> list[View]:
    experiments = configs(*changes)
    names = names_in(plan_of(experiments))
    return sweep_views(
        "raycal-1",
        "abc",
        [
            ChartedTrial(config=config, names=names[config.experiment_id], end=end)
            for config, end in zip(experiments, ends or [None] * len(experiments), strict=True)
        ],
    )


def state(view: View) -> dict[str, Any]:
    return dict(json.loads(view.state))


def line_charts(view: View) -> dict[str, dict[str, Any]]:
    return {chart["metricKey"]: chart for chart in state(view)["compareRunCharts"] if chart["type"] == "LINE"}


def expert(threshold: float) -> dict[str, Any]:
    return {"name": "oracle", "purity_threshold": threshold}


def test_one_view_groups_the_trials_of_the_sweep_by_condition() -> None:
    (view,) = views({"scenario": "random", "seed": 0}, {"scenario": "random", "seed": 1}, {"scenario": "cluster-only"})
    assert (view.tag, view.title) == ("mlflow.sharedViewState.raycal-1", "all trials")
    shown = state(view)
    assert shown["searchFilter"] == "tags.`mlflow.parentRunId` = 'abc'"
    assert shown["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "condition"}]
    assert shown["groupsExpanded"] == {"tag.condition.random": False, "tag.condition.cluster-only": False}
    assert (shown["runsHiddenMode"], shown["orderByKey"]) == ("SHOW_ALL", "tags.`seed`")
    assert list(line_charts(view)) == ["test_accuracy", "annotated", "cluster_label_error", "cluster_acceptance"]
    sections = [section["uuid"] for section in shown["compareRunSections"]]
    assert {chart["metricSectionId"] for chart in shown["compareRunCharts"]} == set(sections)


def test_every_chart_shows_as_many_runs_as_there_are_trials() -> None:
    (view,) = views(*({"scenario": "random", "seed": seed} for seed in range(130)))
    assert {chart["runsCountToCompare"] for chart in state(view)["compareRunCharts"]} == {130}


@pytest.mark.parametrize(
    ("ends", "end"),
    [((None, None, None), 60), ((60, 40, 500), 40), ((None, 20, None), 20)],
    ids=["planned", "measured", "partly"],
)
def test_axis_ends_at_the_shared_budget_without_full_supervision(ends: tuple[int | None, ...], end: int) -> None:
    (view,) = views({"scenario": "random"}, {"scenario": "cluster-only"}, {"scenario": "supervised"}, ends=ends)
    for chart in line_charts(view).values():
        assert chart["range"]["xMin"] == 1
        assert end < chart["range"]["xMax"] <= 1.05 * end


def test_full_supervision_alone_has_the_whole_axis() -> None:
    (view,) = views({"scenario": "supervised"})
    assert line_charts(view)["test_accuracy"]["range"] == {}


def test_setting_that_varies_has_a_view_of_the_trials_that_it_concerns() -> None:
    changes = [{"scenario": name, "expert": expert(value)} for name in ("random", "cluster-only") for value in (0.5, 1)]
    whole, by_threshold = views(*changes)
    assert set(state(whole)["groupsExpanded"]) == {
        "tag.condition.random",
        "tag.condition.cluster-only (purity threshold 0.5)",
        "tag.condition.cluster-only (purity threshold 1.0)",
    }
    assert (by_threshold.key, by_threshold.title) == ("raycal-1-setting-purity-threshold", "setting purity threshold")
    shown = state(by_threshold)
    assert shown["searchFilter"].endswith(" AND tags.`condition` LIKE '%purity threshold %'")
    dots = [chart for chart in shown["compareRunCharts"] if chart["type"] == "SCATTER"]
    assert {chart["xaxis"]["key"] for chart in dots} == {"expert.purity_threshold"}
    assert dots[0]["yaxis"] == {"key": "test_accuracy", "type": "METRIC"}


def test_setting_that_is_no_number_has_a_view_without_dots() -> None:
    *_, view = views({"scenario": "uncertain-only"}, {"scenario": "uncertain-only", "acquisition": "margin"})
    assert view.title == "setting acquisition"
    assert {chart["type"] for chart in state(view)["compareRunCharts"]} == {"LINE", "BAR"}


def test_every_dataset_has_a_view_with_its_own_budget() -> None:
    small, large = ({"name": "digits", "train_size": size} for size in (200, 300))
    whole, *others = views(
        {"scenario": "random", "dataset": small}, {"scenario": "random", "dataset": large}, ends=(40, 60)
    )
    assert [view.title for view in others] == [f"dataset digits (train_size={size})" for size in (200, 300)]
    assert [line_charts(view)["annotated"]["range"]["xMax"] for view in (whole, *others)] == [61, 41, 61]
    assert state(others[0])["searchFilter"].endswith(" AND tags.`raycal.dataset` = 'digits (train_size=200)'")


def test_state_of_a_large_search_fits_into_a_tag() -> None:
    rates = [{"scenario": "random", "training": {"learning_rate": 0.001 + index / 1e9}} for index in range(400)]
    assert all(len(view.state) < MAX_EXPERIMENT_TAG_VAL_LENGTH for view in views(*rates))


def test_trial_that_read_other_images_is_another_condition() -> None:
    first, second = configs({"scenario": "random", "seed": 0}, {"scenario": "random", "seed": 1})
    plan = plan_of([first, second])
    conditions = [names.condition for names in names_in(plan, ["data 1", "data 2"]).values()]
    assert conditions == ["random data 1", "random data 2"]


def test_acceptance_is_the_share_of_the_clusters_that_were_shown() -> None:
    assert trial_metrics({"clusters_shown": 8, "clusters_accepted": 2})["cluster_acceptance"] == 0.25
    assert "cluster_acceptance" not in trial_metrics({"clusters_shown": 0, "clusters_accepted": 0})


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    folder = SweepDir(Folder.at(str(tmp_path / "storage" / "tiny")))
    folder.write_plan(plan_of(CONFIGS))
    for config in CONFIGS:
        commit(folder, 0, config)
    return folder


def kept_views(client: MlflowClient) -> dict[str, str]:
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return {key: value for key, value in experiment.tags.items() if key.startswith("mlflow.sharedViewState.")}


def test_view_is_there_from_the_start_and_has_the_same_key_at_the_end(uri: str, sweep_dir: SweepDir) -> None:
    client = MlflowClient(tracking_uri=uri)
    projection = Projection(uri, sweep_dir, "tiny")
    at_the_start = kept_views(client)
    for config in CONFIGS:
        projection.send(config.experiment_id, config)
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")
    projection.end("FINISHED")
    at_the_end = kept_views(client)
    assert list(at_the_start) == list(at_the_end)
    assert at_the_start != at_the_end  # At the end, the axis ends where the trials ended.
    again = Projection(uri, sweep_dir, "tiny")
    again.end("FINISHED")
    assert kept_views(client) == at_the_end
    (path,) = again.pages.values()
    assert f"mlflow.sharedViewState.{path.partition('viewStateShareKey=')[2]}" in at_the_end


def test_trials_have_the_condition_as_a_tag(uri: str, sweep_dir: SweepDir) -> None:
    projection = Projection(uri, sweep_dir, "tiny")
    for config in CONFIGS:
        projection.send(config.experiment_id, config)
    runs = MlflowClient(tracking_uri=uri).search_runs(
        [projection.experiment_id], json.loads(projection.views[0].state)["searchFilter"]
    )
    assert sorted(run.data.tags["condition"] for run in runs) == ["cluster-only", "random"]


def test_server_that_refuses_the_views_gets_the_runs(
    uri: str, sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise MlflowException("too long")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    projection = Projection(uri, sweep_dir, "tiny")
    for config in CONFIGS:
        projection.send(config.experiment_id, config)
    projection.end("FINISHED")

    (path,) = projection.pages.values()
    assert "viewStateShareKey" not in path
    assert len(MlflowClient(tracking_uri=uri).search_runs([projection.experiment_id])) == 3
