"""Tests which changes to a planned sweep `--resume` allows, and which it refuses."""

from pathlib import Path
from typing import Any

import pytest

from raycal.config import ExperimentConfig, ResourceConfig, SearchConfig, Sweep, TrackingConfig, load_sweep
from raycal.errors import InputError
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.sweep.extension import Extension, extend

Experiments = dict[str, ExperimentConfig]
END = "; put it back, or give the sweep another name or --storage"


def experiments(*settings: dict[str, Any]) -> Experiments:
    made = [
        ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random"} | given, context=build.REGISTRIES)
        for given in settings
    ]
    return {config.experiment_id: config for config in made}


def sweep(asked: Experiments, *axes: str, search: SearchConfig | None = None, base: Experiments | None = None) -> Sweep:
    return Sweep(
        name="tiny",
        experiments=asked,
        num_combinations=len(asked),
        resources=ResourceConfig(),
        tracking=TrackingConfig(),
        search=search,
        axes=axes,
        examples=base or {},
    )


def plan(planned: Experiments, *axes: str, removed: tuple[str, ...] = ()) -> SweepPlan:
    return SweepPlan(sweep="tiny", experiments=planned, threads=3, axes=axes, removed=removed)


def refusal(planned: SweepPlan, asked: Sweep) -> list[str]:
    with pytest.raises(InputError) as refused:
        extend(planned, asked)
    return list(refused.value.problems)


def file_sweep(tmp_path: Path, text: str, *overrides: str) -> Sweep:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "name: tiny\nexperiment: {dataset: digits, scenario: random, iterations: 2, interactions_per_iteration: 5}\n"
        + text
    )
    return load_sweep(str(path), build.REGISTRIES, overrides=overrides)


def planned_by(asked: Sweep) -> SweepPlan:
    return SweepPlan(sweep=asked.name, experiments=asked.experiments, threads=3, axes=asked.axes)


def test_same_experiments_change_nothing() -> None:
    known = experiments({"seed": 0}, {"seed": 1})

    found = extend(plan(known, "seed"), sweep(known, "seed"))

    assert not found.is_changed
    assert str(found) == ""
    assert found.new == []


def test_plan_of_an_earlier_version_stays_as_it_is_while_nothing_changes() -> None:
    known = experiments({"seed": 0}, {"seed": 1})
    earlier = SweepPlan(sweep="tiny", experiments=known, threads=3)

    assert extend(earlier, sweep(known, "seed")).plan == earlier


def test_new_seeds_come_after_the_planned_ones() -> None:
    few, many = experiments({"seed": 1}), experiments({"seed": 0}, {"seed": 1}, {"seed": 2})

    found = extend(plan(few, "seed"), sweep(many, "seed"))

    assert [config.seed for config in found.plan.experiments.values()] == [1, 0, 2]
    assert [found.plan.experiments[key].seed for key in found.new] == [0, 2]
    assert str(found) == "2 trials are new"
    assert (found.plan.removed, found.plan.threads, found.is_changed) == ((), 3, True)


def test_seeds_can_come_where_there_was_no_grid() -> None:
    assert str(extend(plan(experiments({})), sweep(experiments({}, {"seed": 1}), "seed"))) == "1 trial is new"


def test_plan_without_axes_takes_the_keys_that_vary_in_it() -> None:
    earlier = SweepPlan(sweep="tiny", experiments=experiments({"seed": 0}, {"seed": 1}), threads=3)

    found = extend(earlier, sweep(experiments({"seed": 1}), "seed"))

    assert found.plan.axes == ("seed",)
    assert str(found) == "1 trial planned earlier is no longer in the sweep file: it is kept and marked"


def test_what_is_no_longer_asked_for_stays_and_is_marked_until_it_comes_back() -> None:
    both = experiments({"seed": 0}, {"seed": 1})
    first, second = both

    left = extend(plan(both, "seed"), sweep({first: both[first]}, "seed")).plan
    assert left.experiments == both
    assert left.removed == (second,)
    assert list(left.asked) == [first]

    again = extend(left, sweep(both, "seed"))
    assert again.plan.removed == ()
    assert str(again) == "1 trial is in the sweep file again"


def test_line_says_what_comes_and_what_goes() -> None:
    planned = experiments(*({"seed": seed, "interactions_per_iteration": n} for seed in (0, 1) for n in (5, 6)))
    asked = experiments(*({"seed": seed, "interactions_per_iteration": n} for seed in (0, 1, 2) for n in (6, 7)))
    axes = ("seed", "interactions_per_iteration")

    assert str(extend(plan(planned, *axes), sweep(asked, *axes))) == (
        "4 trials are new; 2 trials planned earlier are no longer in the sweep file: they are kept and marked"
    )


def test_other_order_changes_nothing() -> None:
    first = experiments(*({"seed": seed, "iterations": t} for seed in (0, 1) for t in (1, 2)))
    second = experiments(*({"seed": seed, "iterations": t} for t in (1, 2) for seed in (0, 1)))

    assert not extend(plan(first, "seed", "iterations"), sweep(second, "seed", "iterations")).is_changed


def test_changed_setting_is_refused_with_both_values() -> None:
    planned, asked = experiments({"training": {"epochs": 1}}), experiments({"training": {"epochs": 2}})

    assert refusal(plan(planned), sweep(asked)) == [
        f"--resume: training.epochs was 1 when the sweep was planned and is now 2{END}"
    ]


def test_changed_setting_is_refused_beside_new_seeds() -> None:
    planned = experiments({"iterations": 3, "seed": 0}, {"iterations": 3, "seed": 1})
    asked = experiments({"iterations": 4, "seed": 0}, {"iterations": 4, "seed": 2})

    assert refusal(plan(planned, "seed"), sweep(asked, "seed")) == [
        f"--resume: iterations was 3 when the sweep was planned and is now 4{END}"
    ]


def test_setting_that_is_changed_for_all_is_refused_when_no_trial_is_the_same() -> None:
    planned, asked = experiments({"iterations": 3, "seed": 0}), experiments({"iterations": 4, "seed": 5})

    (problem,) = refusal(plan(planned, "seed"), sweep(asked, "seed"))
    assert problem.startswith("--resume: iterations was 3 ")


def test_every_changed_key_is_named() -> None:
    folder = {"name": "image_folder", "root": "/data/birds"}

    problems = refusal(plan(experiments({})), sweep(experiments({"dataset": folder})))

    assert any('dataset.root was not given when the sweep was planned and is now "/data/birds"' in p for p in problems)
    assert any("dataset.split_seed was 0 when the sweep was planned and is now not given" in p for p in problems)


def test_setting_that_does_not_concern_the_scenario_is_no_change() -> None:
    """A threshold cannot change the results of `random`, so the trial is the same for each threshold."""
    planned = experiments({"expert": {"purity_threshold": 0.7}})
    asked = experiments(
        {"expert": {"purity_threshold": 0.9}, "seed": 0}, {"expert": {"purity_threshold": 0.9}, "seed": 1}
    )

    found = extend(plan(planned, "seed"), sweep(asked, "seed"))

    assert str(found) == "1 trial is new"
    assert next(iter(found.plan.experiments.values())) == next(iter(planned.values()))


def test_other_scenarios_of_a_grid_are_new_trials() -> None:
    planned = experiments({"scenario": "random"}, {"scenario": "cluster-only"})
    asked = experiments({"scenario": "random"}, {"scenario": "uncertain-only"}, {"scenario": "supervised"})

    assert str(extend(plan(planned, "scenario"), sweep(asked, "scenario"))) == (
        "2 trials are new; 1 trial planned earlier is no longer in the sweep file: it is kept and marked"
    )


def test_another_scenario_without_a_grid_is_a_change() -> None:
    assert refusal(plan(experiments({})), sweep(experiments({"scenario": "supervised"}))) == [
        f'--resume: scenario was "random" when the sweep was planned and is now "supervised"{END}'
    ]


def test_workers_are_a_setting_of_the_trial() -> None:
    assert refusal(plan(experiments({})), sweep(experiments({"workers": 2}))) == [
        f"--resume: workers was 1 when the sweep was planned and is now 2{END}"
    ]


def test_options_of_one_value_of_an_axis_are_no_change_for_all() -> None:
    planned = experiments({"scenario": "uncertain-only", "acquisition": "entropy"})
    asked = experiments(
        {"scenario": "uncertain-only", "acquisition": "entropy"},
        {"scenario": "uncertain-only", "acquisition": {"name": "ensemble_vote_entropy", "members": 3}},
    )

    assert str(extend(plan(planned, "acquisition.name"), sweep(asked, "acquisition.name"))) == "1 trial is new"


def test_other_recipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = experiments({})
    monkeypatch.setattr("raycal.config.experiment.RECIPE_VERSION", 1_000)

    assert refusal(plan(planned, "seed"), sweep(experiments({}, {"seed": 1}), "seed")) == [
        "--resume: the sweep was planned by a version of raycal whose results differ; start it under another name"
    ]


class TestFromFiles:
    """Tests that the axes come from the grid, from its further combinations, and from the random search."""

    def test_axes_are_those_of_the_file(self, tmp_path: Path) -> None:
        text = "grid: {seed: [0], include: [{training.epochs: 2}]}\n"
        text += "search: {num_samples: 2, space: {training.learning_rate: {uniform: [0.1, 0.2]}}}\n"

        assert file_sweep(tmp_path, text).axes == ("seed", "training.epochs", "training.learning_rate")

    def test_more_random_samples_extend(self, tmp_path: Path) -> None:
        text = "search: {num_samples: %d, space: {training.learning_rate: {uniform: [0.1, 0.2]}}}\n"
        planned = planned_by(file_sweep(tmp_path, text % 2))

        assert str(extend(planned, file_sweep(tmp_path, text % 5))) == "3 trials are new"

    def test_thresholds_extend_for_the_scenarios_they_concern(self, tmp_path: Path) -> None:
        text = "grid: {scenario: [random, cluster-only], expert.purity_threshold: [%s], seed: [0, 1]}\n"
        planned = planned_by(file_sweep(tmp_path, text % "0.7, 0.8"))

        assert str(extend(planned, file_sweep(tmp_path, text % "0.8, 0.9"))) == (
            "2 trials are new; 2 trials planned earlier are no longer in the sweep file: they are kept and marked"
        )

    def test_setting_by_command_line_is_refused_as_one_of_the_file(self, tmp_path: Path) -> None:
        text = "grid: {seed: [0, 1]}\n"
        planned = planned_by(file_sweep(tmp_path, text))

        assert refusal(planned, file_sweep(tmp_path, text, "training.epochs=9", "grid.seed=[0,1,2]")) == [
            f"--resume: training.epochs was 5 when the sweep was planned and is now 9{END}"
        ]

    def test_axis_stays_one_when_it_leaves_the_grid(self, tmp_path: Path) -> None:
        planned = planned_by(file_sweep(tmp_path, "grid: {training.epochs: [1, 2]}\n"))

        found = extend(planned, file_sweep(tmp_path, "", "training.epochs=3"))

        assert str(found) == (
            "1 trial is new; 2 trials planned earlier are no longer in the sweep file: they are kept and marked"
        )
        assert found.plan.axes == ("training.epochs",)


class TestSearch:
    """Tests that a search that decides trial by trial may be made longer, and that everything else must stay the
    same."""

    def search(self, **changed: Any) -> SearchConfig:
        space = {"training.learning_rate": {"loguniform": [1e-4, 0.1]}, "seed": {"choice": [1, 2]}}
        return SearchConfig.model_validate({"algorithm": "optuna", "num_samples": 5, "space": space, **changed})

    def plan(self, planned: Experiments) -> SweepPlan:
        (base,) = experiments({}).values()
        return SweepPlan(sweep="tiny", experiments=planned, threads=3, search=self.search(), base=base)

    def refusal(self, planned: SweepPlan, asked: Sweep) -> list[str]:
        return [problem.split(";")[0] for problem in refusal(planned, asked)]

    def test_experiments_found_so_far_are_not_compared(self) -> None:
        found = extend(self.plan(experiments({"seed": 1})), sweep({}, search=self.search(), base=experiments({})))

        assert not found.is_changed

    def test_more_samples_extend(self) -> None:
        known = experiments({"seed": 1})

        found = extend(self.plan(known), sweep({}, search=self.search(num_samples=7), base=experiments({})))

        assert str(found) == "the search may run 2 more trials"
        assert found.plan.search == self.search(num_samples=7)
        assert found.plan.experiments == known

    def test_fewer_samples_and_changed_search_and_base_are_named(self) -> None:
        changed = self.search(num_samples=4, space={"training.learning_rate": {"uniform": [1e-4, 0.1]}})

        assert self.refusal(self.plan({}), sweep({}, search=changed, base=experiments({"iterations": 3}))) == [
            "--resume: search.num_samples was 5 when the sweep was planned and is now 4",
            '--resume: search.space.training.learning_rate was {"loguniform": [0.0001, 0.1]} when the sweep was '
            'planned and is now {"uniform": [0.0001, 0.1]}',
            '--resume: search.space.seed was {"choice": [1, 2]} when the sweep was planned and is now not given',
            "--resume: iterations was 15 when the sweep was planned and is now 3",
        ]

    def test_search_in_place_of_a_grid_and_the_other_way_round_are_refused(self) -> None:
        searched, known = sweep({}, search=self.search(), base=experiments({})), experiments({})

        assert self.refusal(plan(known), searched) == [
            '--resume: search was not given when the sweep was planned and is now "optuna"'
        ]
        assert self.refusal(self.plan({}), sweep(known)) == [
            '--resume: search was "optuna" when the sweep was planned and is now not given'
        ]


def test_extended_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "tiny")))
    both = experiments({"seed": 0}, {"seed": 1})
    written = plan(both, "seed", removed=tuple(both)[1:])

    sweep_dir.write_plan(written)

    assert sweep_dir.read_plan() == written
    assert Extension(earlier=written, plan=written).is_changed is False
