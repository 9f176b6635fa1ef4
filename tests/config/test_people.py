"""Tests the settings that an experiment cannot have if people answer, and a sweep with people as its expert that asks
nobody."""

from typing import Any

import pytest

from raycal.config import load_sweep
from raycal.config.loop_settings import loop_settings
from raycal.errors import InputError
from raycal.experiment import build
from raycal.sweep.job import Request, prepare


def sweep(**experiment: Any) -> dict[str, Any]:
    settings = {"dataset": "digits", "scenario": "uncertain+cluster", "expert": "people", **experiment}
    return {"name": "birds", "experiment": settings}


def test_people_are_an_expert_without_a_threshold() -> None:
    (config,) = load_sweep(sweep(), build.REGISTRIES).experiments.values()

    assert config.purity_threshold is None
    assert config.expert.options == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scenario": "representative-only"}, "not about representatives"),
        ({"retrain_between": True}, "would have to wait for the training"),
        ({"clustering": {"order": "oracle"}}, "not known in advance"),
        ({"training": {"cluster_weight": "purity"}}, "purity of a cluster is not known"),
        ({"expert": {"name": "symmetric_noise", "rate": 0.1, "of": "people"}}, "cannot wrap the expert people"),
    ],
)
def test_setting_that_people_cannot_fill_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_sweep(sweep(**settings), build.REGISTRIES)


def test_sweep_asks_no_people(tmp_path: Any) -> None:
    with pytest.raises(InputError, match=r"in a browser, not in a sweep; run python -m raycal\.annotate"):
        prepare(Request(sweep=sweep(), storage=str(tmp_path), local=True))
    assert not list(tmp_path.iterdir())


def test_posterior_weighs_the_labels_of_people_alone() -> None:
    training = {"cluster_weight": "posterior"}
    (config,) = load_sweep(sweep(training=training), build.REGISTRIES).experiments.values()

    assert config.training.cluster_weight == "posterior"
    assert loop_settings(config).cluster_weight == "posterior"
    words = r"cluster_weight: can be posterior only with the expert people, whose answers are weighed"
    with pytest.raises(InputError, match=words):
        load_sweep(sweep(expert="oracle", training=training), build.REGISTRIES)


def test_stopping_rules_are_no_part_of_the_experiment() -> None:
    plain = load_sweep(sweep(), build.REGISTRIES)
    rules = {"target": 0.9, "minutes": 60, "automatically": True}
    ruled = load_sweep(sweep() | {"stop": rules}, build.REGISTRIES, overrides=["stop.worth=0.02"])

    assert plain.stop.model_dump() == {
        "target": None,
        "worth": 0.01,
        "stable": 0.99,
        "minutes": None,
        "automatically": False,
    }
    assert ruled.stop.model_dump() == {**rules, "worth": 0.02, "stable": None}
    assert list(ruled.experiments) == list(plain.experiments)


@pytest.mark.parametrize(
    ("rules", "stable"),
    [
        ({}, 0.99),
        ({"automatically": False}, 0.99),
        ({"automatically": True}, None),
        ({"automatically": True, "stable": 0.97}, 0.97),
        ({"stable": None}, None),
        ({"stable": 1}, 1),
    ],
)
def test_file_that_ends_a_project_by_itself_has_to_name_the_rule_about_stable_predictions(
    rules: dict[str, Any], stable: float | None
) -> None:
    assert load_sweep(sweep() | {"stop": rules}, build.REGISTRIES).stop.stable == stable


def test_all_wrong_stopping_rules_are_named() -> None:
    rules = {"target": 90, "worth": 0, "stable": 1.01, "minutes": -1, "automatically": "yes", "kappa": 0.99}

    with pytest.raises(InputError) as caught:
        load_sweep(sweep() | {"stop": rules}, build.REGISTRIES)

    words = "\n".join(caught.value.problems)
    for key in rules:
        assert f"stop.{key}" in words
    assert "stop.target: should be less than 1, not 90" in words


def test_stopping_rules_of_a_simulation_are_refused() -> None:
    with pytest.raises(InputError, match="stop: is for projects that people label, with expert: people"):
        load_sweep(sweep(expert="oracle") | {"stop": {"minutes": 5}}, build.REGISTRIES)


def test_share_of_probes_is_no_part_of_the_experiment() -> None:
    plain = load_sweep(sweep(), build.REGISTRIES)
    off = load_sweep(sweep() | {"probes": {"share": 0}}, build.REGISTRIES)

    assert (plain.probes.share, off.probes.share) == (0.15, 0)
    assert list(off.experiments) == list(plain.experiments)


def test_wrong_share_of_probes_is_named_and_a_simulation_has_none() -> None:
    with pytest.raises(InputError, match=r"probes.share: should be less than or equal to 1, not 15"):
        load_sweep(sweep() | {"probes": {"share": 15}}, build.REGISTRIES)
    with pytest.raises(InputError, match="probes: is for projects that people label, with expert: people"):
        load_sweep(sweep(expert="oracle") | {"probes": {"share": 0.1}}, build.REGISTRIES)


def test_checks_are_no_part_of_the_experiment() -> None:
    plain = load_sweep(sweep(), build.REGISTRIES)
    checked = load_sweep(sweep() | {"checks": {"repeats": 0}}, build.REGISTRIES, overrides=["checks.audits=0.2"])

    assert plain.checks.model_dump() == {
        "repeats": 0.05,
        "shared": 0.1,
        "audits": 0.05,
        "look_again": 0.05,
        "share": 0.1,
        "gold": 10,
    }
    assert checked.checks.model_dump() == plain.checks.model_dump() | {"repeats": 0, "audits": 0.2}
    assert list(checked.experiments) == list(plain.experiments)


def test_all_wrong_checks_are_named() -> None:
    wrong = {"repeats": -1, "shared": 2, "audits": "many", "look_again": 2, "gold": -1, "silver": 1}
    with pytest.raises(InputError) as caught:
        load_sweep(sweep() | {"checks": wrong}, build.REGISTRIES)

    words = "\n".join(caught.value.problems)
    assert all(f"checks.{key}" in words for key in wrong)


def test_checks_of_a_simulation_are_refused() -> None:
    with pytest.raises(InputError, match="checks: is for projects that people label, with expert: people"):
        load_sweep(sweep(expert="oracle") | {"checks": {"shared": 0}}, build.REGISTRIES)


def test_guidelines_are_no_part_of_the_experiment_and_a_simulation_has_none() -> None:
    words = {"text": "Look at the beak first.", "classes": {"robin": "A red breast."}}
    plain, guided = load_sweep(sweep(), build.REGISTRIES), load_sweep(sweep() | {"guidelines": words}, build.REGISTRIES)

    assert guided.guidelines.model_dump() == words
    assert list(guided.experiments) == list(plain.experiments)
    with pytest.raises(InputError, match=r"guidelines.classes.robin: should "):
        load_sweep(sweep() | {"guidelines": {"classes": {"robin": 3}}}, build.REGISTRIES)
    with pytest.raises(InputError, match="guidelines: is for projects that people label, with expert: people"):
        load_sweep(sweep(expert="oracle") | {"guidelines": words}, build.REGISTRIES)


def test_looks_are_no_part_of_the_experiment_and_a_simulation_has_none() -> None:
    plain = load_sweep(sweep(), build.REGISTRIES)
    looks = load_sweep(sweep() | {"looks": {"sequential": True}}, build.REGISTRIES)

    assert plain.looks.model_dump() == {"sequential": False, "purity": 0.8}
    assert looks.looks.model_dump() == {"sequential": True, "purity": 0.8}
    assert list(looks.experiments) == list(plain.experiments)
    with pytest.raises(InputError, match=r"looks.purity: should "):
        load_sweep(sweep() | {"looks": {"purity": 1}}, build.REGISTRIES)
    with pytest.raises(InputError, match="looks: is for projects that people label"):
        load_sweep(sweep(expert="oracle") | {"looks": {"sequential": True}}, build.REGISTRIES)
