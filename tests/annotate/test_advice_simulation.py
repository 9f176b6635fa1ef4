"""Tests how a project is simulated in small."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycal.algorithm.scenario import SCENARIOS
from raycal.annotate.advice.command import Where, run_trials
from raycal.annotate.advice.policies import Policy, policy_of
from raycal.annotate.advice.simulation import HEAD_TRAINING, Simulation, Team, head_training
from raycal.config import ExperimentConfig, load_sweep
from raycal.experiment.build import REGISTRIES
from raycal.storage.folder import Folder

PRICES = {"seconds_per_sample": 2.0, "seconds_per_cluster": 3.0, "seconds_per_image_shown": 0.1}


def config(**changes: Any) -> ExperimentConfig:
    settings: dict[str, Any] = {
        "dataset": {"name": "digits"},
        "model": {"name": "resnet18", "weights": "none"},
        "scenario": "cluster+uncertain",
        "expert": "people",
        "iterations": 20,
        "interactions_per_iteration": 100,
        "training": {"epochs": 1, "image_size": 32},
    }
    (found,) = load_sweep({"name": "birds", "experiment": {**settings, **changes}}, REGISTRIES).experiments.values()
    return found


def simulation(*, pool: int = 500, share: float = 0.25, team: Team | None = None, **changes: Any) -> Simulation:
    of = config(**changes)
    return Simulation(
        config=of,
        current=policy_of(of),
        team=team or Team(prices=PRICES),
        file="/tmp/labels.npz",
        pool=pool,
        share_of_pool=share,
    )


def test_rounds_and_questions_are_in_proportion() -> None:
    assert (simulation().rounds, simulation().questions) == (4, 25)
    assert simulation(iterations=3).rounds == 3
    assert simulation(iterations=1).rounds == 2
    assert simulation(share=0.01).questions == 10  # no fewer
    assert simulation(share=1.0, pool=200).questions == 25  # four rounds use up no more than half of the pool


def test_number_of_clusters_is_in_proportion() -> None:
    own = simulation(clustering={"name": "kmeans", "num_clusters": 200})

    assert own.num_clusters(own.current) == 50
    assert own.num_clusters(replace(own.current, num_clusters=None)) is None
    assert own.num_clusters(replace(own.current, scenario=SCENARIOS["random"])) is None


def test_expected_time_of_a_round() -> None:
    team = Team(prices=PRICES)
    mixed = Policy(scenario=SCENARIOS["cluster+uncertain"])

    # 5 single samples, and 5 clusters of 100 samples, of which 36 are shown.
    assert team.seconds(mixed, 10, 500, None) == pytest.approx(5 * 2 + 5 * (3 + 36 * 0.1))
    # 50 clusters of 10 samples are formed, and 5 of them are shown.
    assert team.seconds(mixed, 10, 500, 50) == pytest.approx(5 * 2 + 5 * (3 + 10 * 0.1))
    assert team.seconds(replace(mixed, shown=12), 10, 500, None) == pytest.approx(5 * 2 + 5 * (3 + 12 * 0.1))
    # Unknown prices are those of the oracle.
    assert Team(prices={}).seconds(mixed, 10, 500, None) == pytest.approx(10 * 4.2)


def test_quick_policy_gets_more_rounds() -> None:
    small = simulation(scenario="cluster-only")
    random = Policy(scenario=SCENARIOS["random"])

    # A round of clusters takes 25 * (3 + 20 * 0.1) = 125 s, and one of single samples 50 s: 1.25 * 4 * 2.5 = 12.5.
    assert small.rounds_of(small.current) == 4
    assert small.rounds_of(random) == 13
    assert replace(small, pool=200, share_of_pool=1.0).rounds_of(random) == 8  # then the pool is used up


def test_expert_pays_the_prices_and_errs_as_the_team() -> None:
    policy = Policy(scenario=SCENARIOS["cluster-only"], threshold=0.7, shown=12)
    oracle = {"name": "oracle", "purity_threshold": 0.7, **PRICES}

    sees = {"name": "few_images", "images_shown": 12, "show": "random"}
    assert Team(prices=PRICES).expert(policy) == {**sees, "of": oracle}
    noisy = {"name": "symmetric_noise", "rate": 0.05, "of": oracle}
    assert Team(prices=PRICES, error_rate=0.05).expert(policy) == {**sees, "of": noisy}


def test_sweep_has_an_experiment_for_each_policy_and_seed_in_order() -> None:
    small = simulation(acquisition="margin", keep_cluster_labels=True, team=Team(prices=PRICES, error_rate=0.1))

    experiments = list(load_sweep(small.sweep("trial", small.policies, (0, 1)), REGISTRIES).experiments.values())

    assert len(experiments) == 2 * len(small.policies) == 46
    for number, found in enumerate(experiments):
        policy = small.policies[number // 2]
        assert found.seed == number % 2
        assert found.scenario == policy.scenario.name
        assert found.iterations == small.rounds_of(policy)
        assert found.interactions_per_iteration == 25
        assert found.expert.model_dump() == load_expert(small.team.expert(policy))
        if policy.scenario.forms_clusters:
            assert found.clustering.num_clusters == small.num_clusters(policy)
            assert found.clustering.on_refusal == policy.on_refusal
        assert (found.acquisition.name, found.keep_cluster_labels) == ("margin", True)
        assert found.dataset.options["file"] == "/tmp/labels.npz"


def load_expert(settings: dict[str, Any]) -> dict[str, Any]:
    """The expert with all of its options."""
    return config(expert=settings).expert.model_dump()


def test_scenario_of_the_project_itself_is_simulated() -> None:
    steps = [{"ask": "clusters", "share": "1/4"}, {"ask": "random", "share": "3/4"}]
    small = simulation(scenario={"name": "mix", "steps": steps})

    experiments = load_sweep(small.sweep("trial", small.policies, (0,)), REGISTRIES).experiments

    assert [one.resolved_scenario.name for one in experiments.values()][:7] == ["mix"] * 7
    assert next(iter(experiments.values())).resolved_scenario == small.current.scenario
    assert len(experiments) == 30


def test_last_layer_is_trained_as_in_the_project_if_it_is_trained_alone() -> None:
    training = {"stop": "steps", "steps": 70, "learning_rate": 0.1, "image_size": 64, "optimizer": "adamw"}

    assert head_training(config()) == dict(HEAD_TRAINING)
    frozen = simulation(model={"name": "resnet18", "weights": "none", "frozen": True}, training=training)
    found = head_training(frozen.config)
    assert (found["steps"], found["learning_rate"], found["optimizer"]["name"]) == (70, 0.1, "adamw")
    assert "image_size" not in found
    (experiment,) = load_sweep(frozen.sweep("trial", [frozen.current], (0,)), REGISTRIES).experiments.values()
    assert (experiment.training.steps, experiment.training.optimizer.name) == (70, "adamw")


@pytest.mark.slow
@pytest.mark.long  # other tests run sweeps on Ray
@pytest.mark.timeout(900)
def test_trials_run_on_ray(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, split = np.arange(160) % 2, np.where(np.arange(160) < 120, "train", "test")
    vectors = rng.normal(size=(160, 4)) + 3 * labels[:, None]
    np.savez(tmp_path / "labels.npz", vectors=vectors, label=labels, split=split)
    small = replace(simulation(pool=120, share=0.5, iterations=2), file=str(tmp_path / "labels.npz"))
    policies = [small.current, Policy(scenario=SCENARIOS["random"])]
    where = Where(storage=str(tmp_path), local=False)

    found = run_trials(small, policies, (3,), name="trial", folder=Folder.at(str(tmp_path / "advice")), where=where)

    assert [one.policy for one in found] == policies
    assert [len(one.lines[3]) for one in found] == [small.rounds_of(policy) for policy in policies]
    assert all(one.lines[3][-1]["test_accuracy"] > 0.9 for one in found)
