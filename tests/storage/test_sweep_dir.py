import json
from pathlib import Path
from typing import Any

import pytest

from raycal.config import ExperimentConfig, SearchConfig
from raycal.errors import InputError
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir, SweepPlan

Experiments = dict[str, ExperimentConfig]


def experiments(*settings: dict[str, Any]) -> Experiments:
    made = [
        ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random"} | given, context=build.REGISTRIES)
        for given in settings
    ]
    return {config.experiment_id: config for config in made}


def plan(planned: Experiments) -> SweepPlan:
    return SweepPlan(sweep="tiny", experiments=planned, threads=3)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


def test_sweep_that_was_never_started_has_no_plan(sweep_dir: SweepDir) -> None:
    assert sweep_dir.read_plan() is None
    assert not sweep_dir.folder.exists()


def test_folder_without_a_plan_is_refused_with_what_it_is_instead(sweep_dir: SweepDir) -> None:
    def refusal(place: SweepDir) -> str:
        with pytest.raises(InputError) as refused:
            place.existing_plan()
        return str(refused.value)

    folder = sweep_dir.folder
    assert refusal(sweep_dir) == f"{folder.path}: not the folder of a sweep: there is no such folder"
    folder.write("notes.txt", b"")
    assert refusal(sweep_dir) == f"{folder.path}: not the folder of a sweep: it has no plan.json"
    folder.write("config.yaml", b"")
    assert refusal(sweep_dir) == (
        f"{folder.path}: not the folder of a sweep: it has no plan.json; it is the folder of one experiment: "
        "give the folder that it lies in"
    )
    sweep_dir.write_plan(plan(experiments({"seed": 1})))
    assert sweep_dir.existing_plan() == sweep_dir.read_plan()


def test_plan_is_read_as_it_was_written(sweep_dir: SweepDir) -> None:
    own = {"name": "own", "steps": [{"ask": "random", "share": "1/3"}, {"ask": "clusters", "share": "2/3"}]}
    planned = experiments({"seed": 2}, {"seed": 1}, {"scenario": own}, {"dataset": {"name": "digits", "train_size": 9}})
    sweep_dir.write_plan(plan(planned))

    read = sweep_dir.read_plan()

    assert read is not None
    assert (read.sweep, read.threads) == ("tiny", 3)
    assert list(read.experiments) == list(planned)
    assert read.experiments == planned
    assert [config.experiment_id for config in read.experiments.values()] == list(planned)


def test_folder_of_an_experiment_is_named_by_its_id(sweep_dir: SweepDir) -> None:
    assert sweep_dir.run_dir("digits-random-s0-01234567").folder.path == (
        f"{sweep_dir.folder.path}/digits-random-s0-01234567"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b'{"sweep": "tiny", "threads": 1}',
        b'{"sweep": "tiny", "threads": 1, "experiments": []}',
        b'{"sweep": "tiny", "threads": 1, "experiments": {"a": {}}}',
        b'{"sweep": "tiny", "threads": 1, "experiments": {"a": 3}}',
        b'{"sweep": "tiny", "threads": "x", "experiments": {}}',
    ],
)
def test_plan_that_cannot_be_read_is_refused_in_one_line(sweep_dir: SweepDir, content: bytes) -> None:
    sweep_dir.folder.write("plan.json", content)

    with pytest.raises(InputError) as refused:
        sweep_dir.read_plan()

    (problem,) = refused.value.problems
    assert problem.startswith(f"{sweep_dir.folder.path}/plan.json: not a plan of raycal ")
    assert "\n" not in problem


def test_plan_cut_anywhere_is_refused(sweep_dir: SweepDir) -> None:
    sweep_dir.write_plan(plan(experiments({})))
    content = sweep_dir.folder.read("plan.json")
    assert content is not None

    for length in range(0, len(content) - 1, 29):
        sweep_dir.folder.write("plan.json", content[:length])
        with pytest.raises(InputError, match="not a plan of raycal"):
            sweep_dir.read_plan()


def test_plan_is_plain_json_with_every_setting(sweep_dir: SweepDir) -> None:
    planned = experiments({"seed": 4})
    sweep_dir.write_plan(plan(planned))

    content = json.loads(sweep_dir.folder.read("plan.json") or b"")

    (experiment_id,) = planned
    assert (content["sweep"], content["threads"]) == ("tiny", 3)
    assert content["experiments"][experiment_id] == planned[experiment_id].model_dump(mode="json")


class TestSearch:
    """The plan of a search that decides trial by trial holds what the search starts from, and grows."""

    def search(self, **changed: Any) -> SearchConfig:
        space = {"training.learning_rate": {"loguniform": [1e-4, 0.1]}, "seed": {"choice": [1, 2]}}
        return SearchConfig.model_validate({"algorithm": "optuna", "num_samples": 5, "space": space, **changed})

    def base(self, **settings: Any) -> ExperimentConfig:
        (config,) = experiments(settings).values()
        return config

    def plan(self, planned: Experiments) -> SweepPlan:
        return SweepPlan(sweep="tiny", experiments=planned, threads=3, search=self.search(), base=self.base())

    def test_plan_that_grows_is_read_as_it_was_written_last(self, sweep_dir: SweepDir) -> None:
        sweep_dir.write_plan(self.plan({}))
        grown = experiments({"seed": 1}, {"seed": 2})
        sweep_dir.write_plan(self.plan(grown))

        assert sweep_dir.read_plan() == self.plan(grown)

    def test_plan_of_known_experiments_does_not_speak_of_a_search(self, sweep_dir: SweepDir) -> None:
        sweep_dir.write_plan(plan(experiments({})))

        content = json.loads(sweep_dir.folder.read("plan.json") or b"")
        assert set(content) == {"raycal", "id", "started", "sweep", "threads", "experiments", "sha256"}


def test_start_is_that_of_the_first_plan(sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_dir.start_time() is None
    for nanoseconds in (1_500_000_000_123_456_789, 1_600_000_000_000_000_000):
        monkeypatch.setattr("time.time_ns", lambda now=nanoseconds: now)
        sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={}, threads=1))

    assert sweep_dir.start_time() == 1_500_000_000_123


def test_plan_without_a_start_is_still_a_plan(sweep_dir: SweepDir) -> None:
    sweep_dir.folder.write("plan.json", b'{"sweep": "tiny", "threads": 1, "experiments": {}}')
    assert sweep_dir.start_time() is None
    assert sweep_dir.read_plan() == SweepPlan(sweep="tiny", experiments={}, threads=1)


def test_folder_of_a_sweep_is_locked_once(sweep_dir: SweepDir) -> None:
    with sweep_dir.lock(), pytest.raises(InputError, match="another process is running this sweep"):
        sweep_dir.lock()
    with sweep_dir.lock():
        pass
