import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycal.config import SearchConfig, Sweep, load_sweep
from raycal.config.search import Domain
from raycal.errors import InputError
from raycal.experiment import build

SEARCH = """\
name: tiny
experiment:
  dataset: digits
  scenario: cluster-only
grid:
  seed: [0, 1]
search:
  num_samples: 3
  seed: 7
  space:
    training.learning_rate: {loguniform: [1e-4, 1e-1]}
    clustering.num_clusters: {randint: [50, 500]}
"""
OPTUNA = """\
name: tiny
experiment:
  dataset: digits
  scenario: cluster-only
search:
  algorithm: optuna
  num_samples: 20
  space:
    training.learning_rate: {loguniform: [1e-4, 1e-1]}
    scenario: {choice: [random, cluster-only]}
"""

Load = Callable[..., Sweep]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A function that loads a sweep file with the given text."""

    def load(text: str, *overrides: str) -> Sweep:
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return load_sweep(str(path), build.REGISTRIES, overrides=overrides)

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """A function that returns the problems of a sweep file with the given text, with `sweep.yaml` as its path."""

    def problems(text: str, *overrides: str) -> list[str]:
        with pytest.raises(InputError) as refused:
            load(text, *overrides)
        return [line.replace(f"{tmp_path}/", "") for line in refused.value.problems]

    return problems


@pytest.fixture
def optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that optuna is installed."""
    monkeypatch.setattr("raycal.config.sweep.is_installed", lambda name: True)


def space(text: str) -> str:
    """The text of a sweep file whose search space begins on line 7."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    head = "name: x\nexperiment: {dataset: digits, scenario: random}\ngrid: {}\n"
    return f"{head}search:\n  num_samples: 2\n  space:\n{lines}"


def draws(domain: dict[str, Any], count: int = 2000) -> list[Any]:
    rng = np.random.default_rng(0)
    checked = Domain.model_validate(domain)
    return [checked.draw(rng) for _ in range(count)]


class TestDomain:
    @pytest.mark.parametrize(
        ("domain", "values"),
        [
            ({"randint": [2, 5]}, {2, 3, 4}),
            ({"qrandint": [2, 8, 2]}, {2, 4, 6, 8}),
            ({"quniform": [0.1, 0.4, 0.1]}, {0.1, 0.2, 0.3, 0.4}),
            ({"lograndint": [1, 4]}, {1, 2, 3}),
            ({"choice": [16, "a", None]}, {16, "a", None}),
        ],
    )
    def test_every_value_of_a_finite_one_is_drawn_and_no_other(self, domain: dict[str, Any], values: set[Any]) -> None:
        assert set(draws(domain)) == values
        assert {type(value) for value in draws(domain)} == {type(value) for value in values}

    def test_uniform_is_even_between_its_bounds(self) -> None:
        values = draws({"uniform": [2, 4]})

        assert min(values) >= 2
        assert max(values) <= 4
        assert np.mean(values) == pytest.approx(3, abs=0.05)

    def test_loguniform_is_even_in_its_logarithm(self) -> None:
        values = draws({"loguniform": [1e-4, 1.0]})

        assert np.mean(np.log10(values)) == pytest.approx(-2, abs=0.1)
        assert (min(values) >= 1e-4, max(values) <= 1) == (True, True)

    def test_lograndint_is_even_in_its_logarithm(self) -> None:
        values = draws({"lograndint": [1, 10_000]})

        assert np.mean(np.array(values) < 100) == pytest.approx(0.5, abs=0.05)

    def test_floats_have_six_digits_and_stay_within_their_bounds(self) -> None:
        assert all(float(f"{value:.6g}") == value for value in draws({"uniform": [0, 1]}))
        assert max(draws({"uniform": [0.12345671, 0.12345674]})) <= 0.12345674

    @pytest.mark.parametrize("domain", [{"uniform": [0, 0.5]}, {"qrandint": [2, 8, 2]}, {"choice": ["a", None]}])
    def test_is_written_as_it_is_read(self, domain: dict[str, Any]) -> None:
        search = SearchConfig.model_validate({"num_samples": 1, "space": {"x": domain}})

        written = search.model_dump(mode="json")
        assert written["space"] == {"x": domain}
        assert SearchConfig.model_validate_json(json.dumps(written)) == search


class TestRandom:
    def test_every_sample_is_combined_with_the_whole_grid(self, load: Load) -> None:
        sweep = load(SEARCH)

        configs = list(sweep.experiments.values())
        assert [config.seed for config in configs] == [0, 1] * 3
        settings = [(config.training.learning_rate, config.clustering.num_clusters) for config in configs]
        assert settings[::2] == settings[1::2]
        assert len(set(settings)) == 3
        assert all(1e-4 <= rate <= 0.1 and 50 <= (clusters or 0) < 500 for rate, clusters in settings)
        assert (sweep.num_combinations, sweep.num_trials, sweep.base) == (6, 6, None)

    def test_same_file_gives_the_same_samples_whatever_the_order_of_its_keys(self, load: Load) -> None:
        *head, rate, clusters = SEARCH.splitlines(keepends=True)

        assert list(load(SEARCH).experiments) == list(load(SEARCH).experiments)
        assert list(load("".join([*head, clusters, rate])).experiments) == list(load(SEARCH).experiments)

    def test_other_seed_gives_other_samples(self, load: Load) -> None:
        assert not set(load(SEARCH).experiments) & set(load(SEARCH, "search.seed=8").experiments)

    def test_more_samples_begin_with_the_same(self, load: Load) -> None:
        assert list(load(SEARCH, "search.num_samples=5").experiments)[:6] == list(load(SEARCH).experiments)

    def test_global_generator_has_no_part_in_it(self, load: Load) -> None:
        np.random.seed(0)  # noqa: NPY002
        state = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]  # noqa: NPY002
        load(SEARCH)

        assert np.random.get_state()[1].tolist() == state  # type: ignore[index,union-attr]  # noqa: NPY002

    def test_scenario_may_be_drawn(self, load: Load) -> None:
        text = SEARCH.replace("  scenario: cluster-only\n", "") + "    scenario: {choice: [random, cluster-only]}\n"
        sweep = load(text, "search.num_samples=20")

        assert {config.resolved_scenario.name for config in sweep.experiments.values()} == {"random", "cluster-only"}

    def test_included_value_wins_over_the_sample(self, load: Load) -> None:
        sweep = load(SEARCH.replace("seed: [0, 1]", "include: [{seed: 1, training.learning_rate: 0.5}]"))

        assert [config.training.learning_rate for config in sweep.experiments.values()] == [0.5] * 3

    def test_override_wins_over_the_sample(self, load: Load) -> None:
        sweep = load(SEARCH, "training.learning_rate=0.5", "clustering={num_clusters: 9}")

        assert sweep.num_combinations == len(sweep.experiments) == 2
        assert {config.training.learning_rate for config in sweep.experiments.values()} == {0.5}

    def test_domain_may_be_given_on_the_command_line(self, load: Load) -> None:
        sweep = load(SEARCH, "search.space.training.learning_rate={choice: [0.25]}")

        assert {config.training.learning_rate for config in sweep.experiments.values()} == {0.25}


class TestMistakes:
    def test_of_all_keys_are_said_at_once_with_their_line(self, problems: Callable[..., list[str]]) -> None:
        text = """\
training.learning_rate: {uniform: [0.1, 0.1]}
training.momentum: {loguniform: [0, 0.5]}
training.weight_decay: {unifrom: [0, 1]}
training.epochs: {randint: [1.5, 3]}
training.batch_size: {choice: []}
expert.purity_threshold: 0.5
clustering.num_clusters: {qrandint: [5, 20, 10]}
iterations: {randint: [1, 2, 3]}
seed: {quniform: [0, 1, 0]}
ask_with: {uniform: [0, .inf]}
"""
        assert problems(space(text)) == [
            "sweep.yaml:7: search.space.training.learning_rate: uniform: low should be less than high, not 0.1 and 0.1",
            "sweep.yaml:8: search.space.training.momentum: loguniform: low should be greater than 0, not 0",
            "sweep.yaml:9: search.space.training.weight_decay: no such distribution 'unifrom' "
            "(did you mean 'uniform'?)",
            "sweep.yaml:10: search.space.training.epochs: randint should be [low, high], all integers",
            "sweep.yaml:11: search.space.training.batch_size: choice should be a list with at least one value",
            "sweep.yaml:12: search.space.expert.purity_threshold: should be one of uniform, loguniform, quniform, "
            "randint, lograndint, qrandint, choice with its bounds, as in {uniform: [0.1, 0.9]}",
            "sweep.yaml:13: search.space.clustering.num_clusters: qrandint: low and high should be multiples of the "
            "step 10",
            "sweep.yaml:14: search.space.iterations: randint should be [low, high]",
            "sweep.yaml:15: search.space.seed: quniform: step should be greater than 0 and not tiny, not 0",
            "sweep.yaml:16: search.space.ask_with: uniform should be [low, high], all numbers",
        ]

    def test_of_values_are_said_once_for_each_end(self, problems: Callable[..., list[str]]) -> None:
        text = """\
training.learning_rate: {uniform: [-1, 1]}
expert.purity_threshold: {uniform: [0.5, 1.5]}
training.epoch: {randint: [1, 3]}
training.dtype: {choice: [auto, half, float32, quarter]}
"""
        assert problems(space(text), "search.num_samples=500") == [
            "sweep.yaml:7: search.space.training.learning_rate.uniform.0: should be greater than 0, not -1.0",
            "sweep.yaml:8: search.space.expert.purity_threshold.uniform.1: should be less than or equal to 1, not 1.5",
            "sweep.yaml:9: search.space.training.epoch: unknown key (did you mean 'epochs'?)",
            "sweep.yaml:10: search.space.training.dtype.choice.1: should be 'auto', 'float32' or 'bfloat16', "
            "not 'half'",
            "sweep.yaml:10: search.space.training.dtype.choice.3: should be 'auto', 'float32' or 'bfloat16', "
            "not 'quarter'",
        ]

    @pytest.mark.parametrize(
        ("override", "line"),
        [
            ("search.num_samples=0", "--set search.num_samples: should be greater than or equal to 1, not 0"),
            ("search.space={}", "--set search.space: should have at least one key"),
            ("search.algorithm=grid", "--set search.algorithm: should be 'random' or 'optuna', not 'grid'"),
            (
                "search.num_samples=6000",
                "--set search.num_samples: makes 12000 combinations together with the grid; at most 10000 are accepted",
            ),
            (
                "search.space.seed={randint: [0, 9]}",
                "--set search.space.seed: is also a key of the grid; keep it in one of the two",
            ),
            (
                "search.space.workers={randint: [1, 3]}",
                "--set search.space.workers: belongs under resources, as resources.workers_per_trial",
            ),
        ],
    )
    def test_of_the_section(self, problems: Callable[..., list[str]], override: str, line: str) -> None:
        assert problems(SEARCH, override) == [line]

    def test_of_the_experiment_are_said_beside_those_of_the_space(self, problems: Callable[..., list[str]]) -> None:
        text = SEARCH.replace("[50, 500]", "[500, 50]").replace("dataset: digits", "dataset: digitz")

        assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in problems(text)] == [
            "sweep.yaml:12: search.space.clustering.num_clusters",
            "sweep.yaml:3: experiment.dataset",
        ]

    def test_bad_space_does_not_make_its_scenario_missing(self, problems: Callable[..., list[str]]) -> None:
        text = SEARCH.replace("  scenario: cluster-only\n", "").replace("[50, 500]", "[500, 50]")
        (line,) = problems(text + "    scenario: {choice: [random, cluster-only]}\n")

        assert "low should be less than high" in line


@pytest.mark.usefixtures("optuna")
class TestOptuna:
    def test_experiments_are_not_known_before_it_runs(self, load: Load) -> None:
        sweep = load(OPTUNA)

        assert sweep.experiments == {}
        assert sweep.num_trials == 20
        assert sweep.search is not None
        assert (sweep.search.algorithm, sweep.search.seed) == ("optuna", 0)
        assert sweep.search.space["training.learning_rate"].arguments == (1e-4, 1e-1)

    def test_base_is_the_experiment_and_examples_are_the_ends_of_the_space(self, load: Load) -> None:
        sweep = load(OPTUNA)

        assert sweep.base is not None
        assert (sweep.base.resolved_scenario.name, sweep.base.training.learning_rate) == ("cluster-only", 1e-3)
        assert [(c.resolved_scenario.name, c.training.learning_rate) for c in sweep.examples.values()] == [
            ("cluster-only", 1e-3),
            ("cluster-only", 1e-4),
            ("cluster-only", 1e-1),
            ("random", 1e-3),
        ]

    def test_base_takes_the_first_scenario_of_the_space_where_it_has_none(self, load: Load) -> None:
        base = load(OPTUNA.replace("  scenario: cluster-only\n", "")).base

        assert base is not None
        assert base.resolved_scenario.name == "random"

    def test_experiment_of_values_is_checked_and_has_the_settings_of_the_sweep(self, load: Load) -> None:
        sweep = load(OPTUNA, "training.epochs=2", "resources.workers_per_trial=2")
        config = sweep.experiment_of({"scenario": "random", "training.learning_rate": 0.02})

        assert (config.resolved_scenario.name, config.training.learning_rate) == ("random", 0.02)
        assert (config.training.epochs, config.workers) == (2, 2)
        with pytest.raises(
            InputError, match=r"search\.space\.training\.learning_rate: should be greater than 0, not -1"
        ):
            sweep.experiment_of({"training.learning_rate": -1})

    def test_overridden_key_is_searched_no_more(self, load: Load) -> None:
        sweep = load(OPTUNA, "training.learning_rate=0.5")

        assert sweep.search is not None
        assert list(sweep.search.space) == ["scenario"]
        assert sweep.experiment_of({"scenario": "random"}).training.learning_rate == 0.5

    def test_nothing_left_to_search_is_refused(self, problems: Callable[..., list[str]]) -> None:
        assert problems(OPTUNA, "training.learning_rate=0.5", "scenario=random") == [
            "sweep.yaml:8: search.space: has no keys left, because --set gives values to all of them"
        ]

    def test_needs_an_empty_grid(self, problems: Callable[..., list[str]]) -> None:
        assert problems(f"{OPTUNA}grid: {{seed: [0, 1]}}\n") == [
            "sweep.yaml:11: grid: should be empty with search: optuna; put the choices into search.space"
        ]

    def test_ends_of_the_space_are_checked(self, problems: Callable[..., list[str]]) -> None:
        assert problems(OPTUNA.replace("[random,", "[randon,")) == [
            "sweep.yaml:10: search.space.scenario.choice.0: 'randon': no such scenario (did you mean 'random'?)"
        ]


def test_optuna_that_is_not_installed_is_said(
    problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raycal.config.sweep.is_installed", lambda name: False)

    assert problems(OPTUNA) == ["sweep.yaml:6: search.algorithm: optuna is not installed; pip install 'raycal[search]'"]
