"""Tests reading the folder of a sweep into DataFrames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_sweeps import EXPERIMENT, sweep_folder

import raycal
from raycal import InputError, read_sweep
from raycal.storage.results import KEYS

GRID = {"scenario": ["random", "cluster-only"], "expert.purity_threshold": [0.7, 0.9], "seed": [0, 1]}
ACCURACIES = {
    ("random", None, 0): [0.25, 0.5],
    ("random", None, 1): [0.5, 0.75],
    ("cluster-only", 0.7, 0): [0.125, None],
    ("cluster-only", 0.7, 1): [0.375],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a sweep in which both trials of `random` finished. One trial of `cluster-only` finished, one
    failed, and two never began."""
    return sweep_folder(tmp_path, ACCURACIES, GRID, failed=[3])


def refused(place: object) -> str:
    with pytest.raises(InputError) as error:
        read_sweep(place)  # type: ignore[arg-type]
    return str(error.value)


def test_trials_say_what_each_id_stands_for(folder: Path) -> None:
    trials = read_sweep(folder).trials

    assert list(trials.columns) == [
        *("id", "label", "scenario", "dataset", "seed", "expert.purity_threshold", "condition", "full_supervision"),
        *("upper_bound", "state", "reason", "in_sweep_file"),
    ]
    assert trials["label"].tolist() == [
        *("random s0", "random s1", "cluster-only (purity threshold 0.7) s0", "cluster-only (purity threshold 0.7) s1"),
        *("cluster-only (purity threshold 0.9) s0", "cluster-only (purity threshold 0.9) s1"),
    ]
    assert trials["seed"].tolist() == [0, 1] * 3
    assert trials["dataset"].unique().tolist() == ["digits"]
    assert trials["state"].tolist() == [*["finished"] * 3, "failed", *["unfinished"] * 2]
    assert trials["reason"][3] == "iteration 0: DivergedError: the loss is nan"
    assert trials["condition"].nunique() == 3
    assert trials["in_sweep_file"].all()
    assert not trials["full_supervision"].any()


def test_trials_agree_with_the_table_in_the_folder(folder: Path) -> None:
    table = pd.read_csv(folder / "trials.csv", na_values="-")
    trials = read_sweep(folder).trials

    shared = ["id", "label", "scenario", "dataset", "seed", "expert.purity_threshold"]
    pd.testing.assert_frame_equal(trials[shared], table[shared])
    assert trials["expert.purity_threshold"].tolist()[2:] == [0.7, 0.7, 0.9, 0.9]
    assert trials["expert.purity_threshold"].isna().tolist() == [True, True, *[False] * 4]


def test_results_have_a_row_for_each_iteration_with_the_settings(folder: Path) -> None:
    sweep = read_sweep(str(folder))
    results = sweep.results

    assert list(results.columns)[: len(sweep.trials.columns)] == list(sweep.trials.columns)
    assert results["iteration"].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert results["interactions"].dtype == np.int64
    assert results["test_accuracy"].tolist()[:5] == [0.25, 0.5, 0.5, 0.75, 0.125]
    assert results["test_accuracy"].isna().tolist() == [False] * 5 + [True, False]
    assert results["cluster_label_error"].dtype == np.float64
    assert results.groupby("condition")["test_accuracy"].mean().to_dict() == {
        "random": 0.5,
        "cluster-only (purity threshold 0.7)": 0.25,
    }


def test_settings_have_every_key_of_every_trial(folder: Path) -> None:
    settings = read_sweep(folder).settings

    assert settings["seed"].tolist() == [0, 1] * 3
    assert settings["interactions_per_iteration"].tolist() == [10] * 6
    assert {"id", "training.learning_rate", "clustering.name", "model.weights"} <= set(settings.columns)


def test_ledger_has_a_row_for_each_interaction(folder: Path) -> None:
    sweep = read_sweep(folder)
    ledger = sweep.ledger()

    assert list(ledger.columns) == [
        *("id", "iteration", "step", "interaction", "kind", "answer", "label", "num_samples", "purity", "wrong"),
        *("seconds", "indices"),
    ]
    assert ledger["id"].tolist() == [key for key in sweep.trials["id"][:4] for _ in range(3)]
    one = sweep.ledger(sweep.trials["id"][0])
    assert one["label"].dtype == pd.Int32Dtype()
    assert one["label"].tolist() == [3, 3, pd.NA]
    assert one["wrong"].isna().tolist() == [False, False, True]
    assert one["kind"].tolist() == ["sample", "sample", "cluster"]
    assert [indices.tolist() for indices in one["indices"]] == [[1], [2], [5, 6]]
    assert one["seconds"].tolist() == [4.25, 4.25, 8.0]
    assert sweep.ledger("random s0").equals(one)


def test_ledger_of_trials_that_never_began_is_empty(folder: Path) -> None:
    ledger = read_sweep(folder).ledger("cluster-only (purity threshold 0.9) s0")
    assert (len(ledger), list(ledger.columns)[:3]) == (0, ["id", "iteration", "step"])


def test_summary_has_the_figures_of_the_report(folder: Path) -> None:
    summary = read_sweep(folder).summary().set_index("condition")

    assert summary["finished"].to_dict() == {
        "random": 2,
        "cluster-only (purity threshold 0.7)": 1,
        "cluster-only (purity threshold 0.9)": 0,
    }
    assert summary.loc["random", ["final_accuracy", "aubc", "interactions", "human_hours"]].tolist() == [
        *(0.625, 0.5, 20.0, 0.02),
    ]
    assert summary["final_accuracy"].dtype == np.float64
    assert np.isnan(summary.loc["cluster-only (purity threshold 0.7)", "final_accuracy_low"])
    assert summary["failed"].tolist() == [0, 1, 0]


def test_experiment_is_found_by_id_and_by_label(folder: Path) -> None:
    sweep = read_sweep(folder)
    by_label = sweep.experiment("cluster-only (purity threshold 0.7) s1")

    assert sweep.experiment(by_label.id).label == by_label.label
    assert (by_label.state, by_label.reason[:12]) == ("failed", "iteration 0:")
    assert by_label.settings["expert.purity_threshold"] == 0.7
    assert by_label.folder == str(folder / by_label.id)
    assert by_label.results["test_accuracy"].tolist() == [0.375]
    with pytest.raises(InputError, match=r"made: no trial has the id or the label 'random s2' \(did you mean 'random"):
        sweep.experiment("random s2")


def test_objects_say_what_they_hold(folder: Path) -> None:
    sweep = read_sweep(folder)
    assert repr(sweep) == f"<SweepResults made: 6 trials (3 finished, 1 failed, 2 unfinished) in {folder}>"
    one = sweep.experiment("random s0")
    assert repr(one) == f"<ExperimentResults {one.id}: random s0, finished, 2 iterations>"


def test_changing_a_frame_changes_no_other(folder: Path) -> None:
    sweep = read_sweep(folder)
    frame = sweep.trials
    frame["seed"] = 9
    assert sweep.trials["seed"].tolist() == [0, 1] * 3


def test_sweep_that_never_ran_has_empty_frames_with_their_columns(tmp_path: Path) -> None:
    sweep = read_sweep(sweep_folder(tmp_path, {}, {"seed": [0, 1]}, experiment={**EXPERIMENT, "scenario": "random"}))

    assert sweep.trials["state"].tolist() == ["unfinished"] * 2
    assert len(sweep.results) == len(sweep.ledger()) == 0
    assert list(sweep.results.columns) == [*sweep.trials.columns, *KEYS]
    assert list(sweep.experiment("random s0").results.columns) == list(KEYS)
    assert sweep.summary()["finished"].tolist() == [0]
    assert sweep.experiment("random s0").ledger().columns[0] == "iteration"


def test_threshold_of_a_nested_expert_is_in_the_trials(tmp_path: Path) -> None:
    experiment = {**EXPERIMENT, "scenario": "cluster-only", "expert": {"name": "symmetric_noise", "rate": 0.1}}
    folder = sweep_folder(tmp_path, {}, {"expert.of.purity_threshold": [0.7, 0.9]}, experiment=experiment)

    assert read_sweep(folder).trials["expert.purity_threshold"].tolist() == [0.7, 0.9]
    assert pd.read_csv(folder / "trials.csv")["expert.purity_threshold"].tolist() == [0.7, 0.9]


class TestRefusal:
    def test_missing_folder(self, tmp_path: Path) -> None:
        place = tmp_path / "nothing"
        assert refused(place) == f"{place}: not the folder of a sweep: there is no such folder"

    def test_folder_without_a_plan(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == f"{tmp_path}: not the folder of a sweep: it has no plan.json"

    def test_folder_of_one_experiment(self, folder: Path) -> None:
        run = folder / read_sweep(folder).trials["id"][0]
        (run / "config.yaml").write_text("{}")
        assert refused(run).endswith("it is the folder of one experiment: give the folder that it lies in")

    def test_torn_plan(self, folder: Path) -> None:
        (folder / "plan.json").write_text('{"sweep": "made"')
        assert refused(folder).startswith(f"{folder}/plan.json: not a plan of raycal")

    def test_results_that_changed_after_the_end(self, folder: Path) -> None:
        run = folder / read_sweep(folder).trials["id"][0]
        (run / "results.jsonl").write_text("{}\n")
        assert refused(folder).startswith(f"{run}/results.jsonl: not as the experiment left it")

    def test_results_of_a_running_trial_that_are_none(self, folder: Path) -> None:
        run = folder / read_sweep(folder).trials["id"][3]
        (run / "results.jsonl").write_text("nonsense\n")
        assert refused(folder).startswith(f"{run}/results.jsonl:1: raycal did not write this")

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"PAR1"])
    def test_torn_ledger(self, folder: Path, content: bytes) -> None:
        sweep = read_sweep(folder)
        run = sweep.experiment(sweep.trials["id"][3])
        (Path(run.folder) / "ledger" / "iteration-000000.parquet").write_bytes(content)
        with pytest.raises(InputError, match=r"ledger/iteration-000000\.parquet: raycal did not write this"):
            run.ledger()

    def test_table_that_is_no_ledger(self, folder: Path) -> None:
        sweep = read_sweep(folder)
        run = sweep.experiment(sweep.trials["id"][3])
        pd.DataFrame({"a": [1]}).to_parquet(Path(run.folder) / "ledger" / "iteration-000000.parquet")
        with pytest.raises(InputError, match=r"ledger/iteration-000000\.parquet: raycal did not write this"):
            run.ledger()

    @pytest.mark.parametrize(
        ("place", "words"),
        [
            ("", "storage '': should be a folder or a URI"),
            ("nope://bucket/runs", "storage nope://bucket/runs: "),
            (3, "folder: should be a path or a URI, not of type int"),
            (None, "folder: should be a path or a URI, not of type NoneType"),
        ],
    )
    def test_place_that_is_none(self, place: object, words: str) -> None:
        assert refused(place).startswith(words)


def test_remote_storage_is_read_like_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_sweep(f"file://{folder}").trials.equals(read_sweep(folder).trials)


def test_errors_of_the_package_are_those_of_the_api() -> None:
    assert issubclass(raycal.InputError, raycal.RaycalError)
    assert issubclass(raycal.StorageError, raycal.RaycalError)
    assert issubclass(raycal.ExperimentFailedError, raycal.RaycalError)
