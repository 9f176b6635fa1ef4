import json
from pathlib import Path
from typing import Any

import pytest

from raycal import build
from raycal.config import ExperimentConfig, ResourceConfig, SearchConfig, Sweep, TrackingConfig
from raycal.errors import InputError
from raycal.files import Folder
from raycal.plan import Plan, SweepDir

Experiments = dict[str, ExperimentConfig]


def experiments(*settings: dict[str, Any]) -> Experiments:
    made = [
        ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random"} | given, context=build.REGISTRIES)
        for given in settings
    ]
    return {config.experiment_id: config for config in made}


def plan(planned: Experiments) -> Plan:
    return Plan(sweep="tiny", experiments=planned, threads=3)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


def sweep(asked: Experiments, search: SearchConfig | None = None, base: ExperimentConfig | None = None) -> Sweep:
    return Sweep(
        name="tiny",
        experiments=asked,
        num_combinations=len(asked),
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
        search=search,
        examples={} if base is None else {base.experiment_id: base},
    )


def refusal(sweep_dir: SweepDir, planned: Experiments, asked: Experiments) -> list[str]:
    with pytest.raises(InputError) as refused:
        sweep_dir.check_unchanged(plan(planned), sweep(asked))
    return list(refused.value.problems)


def test_sweep_that_was_never_started_has_no_plan(sweep_dir: SweepDir) -> None:
    assert sweep_dir.read_plan() is None
    assert not sweep_dir.folder.exists()


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
    sweep_dir.check_unchanged(read, sweep(planned))


def test_folder_of_an_experiment_is_named_by_its_id(sweep_dir: SweepDir) -> None:
    assert sweep_dir.run_dir("digits-random-s0-01234567").folder.path == (
        f"{sweep_dir.folder.path}/digits-random-s0-01234567"
    )


def test_changed_key_is_named_with_both_values(sweep_dir: SweepDir) -> None:
    planned, asked = experiments({"training": {"epochs": 1}}), experiments({"training": {"epochs": 2}})

    assert refusal(sweep_dir, planned, asked) == [
        "--resume: training.epochs was 1 when the sweep was planned and is now 2; "
        "put it back, or give the sweep another name or --storage"
    ]


def test_every_changed_key_is_named(sweep_dir: SweepDir) -> None:
    planned = experiments({"iterations": 3, "seed": 0}, {"iterations": 3, "seed": 1})
    asked = experiments({"iterations": 4, "seed": 0}, {"iterations": 4, "seed": 2})

    problems = refusal(sweep_dir, planned, asked)

    assert [problem.split(" when ")[0] for problem in problems] == [
        "--resume: iterations was 3",
        "--resume: seed was 0, 1",
    ]
    assert [problem.split(" is now ")[1].split(";")[0] for problem in problems] == ["4", "0, 2"]


def test_added_and_removed_experiments_are_refused(sweep_dir: SweepDir) -> None:
    few, many = experiments({"seed": 0}), experiments({"seed": 0}, {"seed": 1})

    assert "seed was 0 when the sweep was planned and is now 0, 1;" in refusal(sweep_dir, few, many)[0]
    assert "seed was 0, 1 when the sweep was planned and is now 0;" in refusal(sweep_dir, many, few)[0]


def test_key_that_one_of_both_lacks_is_named_as_not_given(sweep_dir: SweepDir) -> None:
    folder = {"name": "image_folder", "root": "/data/birds"}

    problems = refusal(sweep_dir, experiments({}), experiments({"dataset": folder}))

    assert any('dataset.root was not given when the sweep was planned and is now "/data/birds"' in p for p in problems)
    assert any("dataset.split_seed was 0 when the sweep was planned and is now not given" in p for p in problems)


def test_other_order_of_the_grid_is_refused_as_such(sweep_dir: SweepDir) -> None:
    first = experiments(*({"seed": seed, "iterations": t} for seed in (0, 1) for t in (1, 2)))
    second = experiments(*({"seed": seed, "iterations": t} for t in (1, 2) for seed in (0, 1)))

    assert refusal(sweep_dir, first, second) == [
        "--resume: the experiments are in another order than when the sweep was planned"
    ]


def test_other_recipe_of_the_same_settings_is_not_called_an_order(
    sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = experiments({})
    monkeypatch.setattr("raycal.config.experiment.RECIPE_VERSION", 1_000)

    problems = refusal(sweep_dir, planned, experiments({}))

    assert not any("order" in problem for problem in problems)


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
    """A search that decides trial by trial: the plan holds what it starts from, and grows."""

    def search(self, **changed: Any) -> SearchConfig:
        space = {"training.learning_rate": {"loguniform": [1e-4, 0.1]}, "seed": {"choice": [1, 2]}}
        return SearchConfig.model_validate({"algorithm": "optuna", "num_samples": 5, "space": space, **changed})

    def base(self, **settings: Any) -> ExperimentConfig:
        (config,) = experiments(settings).values()
        return config

    def plan(self, planned: Experiments) -> Plan:
        return Plan(sweep="tiny", experiments=planned, threads=3, search=self.search(), base=self.base())

    def refusal(self, sweep_dir: SweepDir, planned: Plan, asked: Sweep) -> list[str]:
        with pytest.raises(InputError) as refused:
            sweep_dir.check_unchanged(planned, asked)
        return [problem.split(";")[0] for problem in refused.value.problems]

    def test_plan_that_grows_is_read_as_it_was_written_last(self, sweep_dir: SweepDir) -> None:
        sweep_dir.write_plan(self.plan({}))
        grown = experiments({"seed": 1}, {"seed": 2})
        sweep_dir.write_plan(self.plan(grown))

        assert sweep_dir.read_plan() == self.plan(grown)

    def test_plan_of_known_experiments_does_not_speak_of_a_search(self, sweep_dir: SweepDir) -> None:
        sweep_dir.write_plan(plan(experiments({})))

        content = json.loads(sweep_dir.folder.read("plan.json") or b"")
        assert set(content) == {"raycal", "id", "started", "sweep", "threads", "experiments", "sha256"}

    def test_experiments_found_so_far_are_not_compared(self, sweep_dir: SweepDir) -> None:
        sweep_dir.write_plan(self.plan(experiments({"seed": 1})))
        read = sweep_dir.read_plan()

        assert read is not None
        sweep_dir.check_unchanged(read, sweep({}, self.search(), self.base()))

    def test_changed_search_and_base_are_named(self, sweep_dir: SweepDir) -> None:
        changed = self.search(num_samples=6, space={"training.learning_rate": {"uniform": [1e-4, 0.1]}})
        asked = sweep({}, changed, self.base(iterations=3))

        assert self.refusal(sweep_dir, self.plan({}), asked) == [
            "--resume: search.num_samples was 5 when the sweep was planned and is now 6",
            '--resume: search.space.training.learning_rate was {"loguniform": [0.0001, 0.1]} when the sweep was '
            'planned and is now {"uniform": [0.0001, 0.1]}',
            '--resume: search.space.seed was {"choice": [1, 2]} when the sweep was planned and is now not given',
            "--resume: iterations was 15 when the sweep was planned and is now 3",
        ]

    def test_search_in_place_of_a_grid_and_the_other_way_round_are_refused(self, sweep_dir: SweepDir) -> None:
        searched, known = sweep({}, self.search(), self.base()), experiments({})

        assert self.refusal(sweep_dir, plan(known), searched) == [
            '--resume: search was not given when the sweep was planned and is now "optuna"'
        ]
        assert self.refusal(sweep_dir, self.plan({}), sweep(known)) == [
            '--resume: search was "optuna" when the sweep was planned and is now not given'
        ]


def test_start_is_that_of_the_first_plan(sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_dir.start_time() is None
    for nanoseconds in (1_500_000_000_123_456_789, 1_600_000_000_000_000_000):
        monkeypatch.setattr("time.time_ns", lambda now=nanoseconds: now)
        sweep_dir.write_plan(Plan(sweep="tiny", experiments={}, threads=1))

    assert sweep_dir.start_time() == 1_500_000_000_123


def test_plan_without_a_start_is_still_a_plan(sweep_dir: SweepDir) -> None:
    sweep_dir.folder.write("plan.json", b'{"sweep": "tiny", "threads": 1, "experiments": {}}')
    assert sweep_dir.start_time() is None
    assert sweep_dir.read_plan() == Plan(sweep="tiny", experiments={}, threads=1)


def test_folder_of_a_sweep_is_locked_once(sweep_dir: SweepDir) -> None:
    with sweep_dir.lock(), pytest.raises(InputError, match="another process is running this sweep"):
        sweep_dir.lock()
    with sweep_dir.lock():
        pass
