"""Tests that a sweep that Python code passes as a mapping means the same as the equivalent file."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from raycal.config import Sweep, load_sweep
from raycal.errors import InputError
from raycal.experiment.build import REGISTRIES

TEXT = """\
name: tiny
experiment:
  dataset: {name: digits, train_size: 40}
  model: {weights: none}
  training: {epochs: 2, image_size: 32}
grid:
  scenario: [random, uncertain+cluster]
  expert.purity_threshold: [0.7, 0.9]
  seed: [0, 1]
"""
VALUES: dict[str, Any] = yaml.safe_load(TEXT)


class Scenario(StrEnum):
    RANDOM = "random"


def problems(values: Any, **options: Any) -> list[str]:
    with pytest.raises(InputError) as refused:
        load_sweep(values, REGISTRIES, **options)
    return list(refused.value.problems)


def test_mapping_gives_the_experiments_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TEXT)
    of_file, of_mapping = (load_sweep(source, REGISTRIES) for source in (str(path), VALUES))

    assert len(of_mapping.experiments) == 6
    assert list(of_mapping.experiments.items()) == list(of_file.experiments.items())
    assert (of_mapping.name, of_mapping.axes) == ("tiny", of_file.axes)


def test_values_of_python_are_those_of_a_file() -> None:
    given: dict[str, Any] = {
        "name": "tiny",
        "experiment": {
            "dataset": {"name": "image_folder", "root": Path("/a/birds")},
            "training": {"learning_rate": np.float64(0.01), "epochs": np.int64(3)},
        },
        "grid": {"scenario": (Scenario.RANDOM,), "seed": range(2), "training.batch_size": np.array([8, 16])},
    }
    configs = list(load_sweep(given, REGISTRIES).experiments.values())

    assert [(one.seed, one.training.batch_size) for one in configs] == [(0, 8), (0, 16), (1, 8), (1, 16)]
    assert {one.scenario for one in configs} == {"random"}
    assert configs[0].dataset.options["root"] == "/a/birds"
    assert (configs[0].training.learning_rate, configs[0].training.epochs) == (0.01, 3)


def test_overrides_do_not_change_the_mapping() -> None:
    before = yaml.safe_dump(VALUES)
    load_sweep(VALUES, REGISTRIES, overrides={"grid.seed": [5], "training.epochs": 7})
    assert yaml.safe_dump(VALUES) == before


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["training.epochs=1", "grid.seed=[3]"], {"training.epochs": 1, "grid.seed": [3]}),
        (["training.learning_rate=1e-3"], {"training.learning_rate": 1e-3}),
        (["training={epochs: 1, image_size: 64}"], {"training": {"epochs": 1, "image_size": 64}}),
        (["resources.cpus_per_worker=1", "name=other"], {"resources": {"cpus_per_worker": 1}, "name": "other"}),
        (["clustering.num_clusters=null"], {"clustering.num_clusters": None}),
        ([], {}),
    ],
)
def test_overrides_by_key_are_those_of_a_command_line(words: list[str], values: dict[str, Any]) -> None:
    def outcome(sweep: Sweep) -> Any:
        return sweep.name, sweep.resources, list(sweep.experiments)

    by_words, by_key = (load_sweep(VALUES, REGISTRIES, overrides=given) for given in (words, values))
    assert outcome(by_words) == outcome(by_key)


def test_text_stays_text_in_overrides_by_key() -> None:
    assert problems(VALUES, overrides={"training.epochs": "1"}) == [
        "overrides['training.epochs']: should be a valid integer, not '1'"
    ]


def test_every_problem_is_said_without_a_line_number() -> None:
    given = {
        "name": "A",
        "experiment": {"dataset": "digits", "scenario": "random", "aquisition": "entropy"},
        "grid": {"seed": [-1]},
    }
    assert problems(given) == [
        "name: should be 1 to 64 characters of a-z 0-9 . _ + - and begin with a letter or digit, not 'A'",
        "grid.seed.0: should be greater than or equal to 0, not -1",
        "experiment.aquisition: unknown key (did you mean 'acquisition'?)",
    ]
    assert problems({}) == ["name: missing", "experiment: missing"]


def test_value_that_no_file_can_hold_is_refused_by_its_place() -> None:
    given = {"name": "a", "experiment": {"dataset": object(), 3: 1}, "grid": {"seed": [{1, 2}]}}
    assert problems(given) == [
        "experiment.3: a key should be a string",
        "experiment.dataset: should be text, a number, a list or a mapping, not of type object",
        "grid.seed.0: should be text, a number, a list or a mapping, not of type set",
    ]


def test_mapping_that_holds_itself_is_refused() -> None:
    given: dict[str, Any] = {"name": "a"}
    given["experiment"] = given
    assert problems(given) == ["the sweep is nested too deeply"]


def test_problem_of_an_override_is_said_by_its_key() -> None:
    assert problems(VALUES, overrides={"training.epoch": 1, "seed.": 2, "model": object()}) == [
        "overrides: 'seed.': should be a dotted key, as in 'training.learning_rate'",
        "overrides['model']: should be text, a number, a list or a mapping, not of type object",
        "overrides['training.epoch']: unknown key (did you mean 'epochs'?)",
    ]


def test_override_that_replaces_a_group_says_what_it_drops() -> None:
    assert load_sweep(VALUES, REGISTRIES, overrides={"training": {"epochs": 2}}).notes == [
        "overrides['training'] replaces the whole group and drops image_size; overrides['training.image_size'] "
        "changes one key alone"
    ]
