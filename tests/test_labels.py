from typing import Any

from test_summary import experiment

from raycal.labels import concerns, experiment_labels, named_settings, varied_keys


def test_value_of_more_than_half_is_not_said() -> None:
    thresholds = [0.8, 0.8, 0.9]
    labels = experiment_labels(
        [experiment(scenario="cluster-only", expert={"purity_threshold": value}) for value in thresholds]
    )

    assert labels == ["cluster-only", "cluster-only", "cluster-only (purity threshold 0.9)"]


def test_all_values_are_said_where_none_is_usual() -> None:
    labels = experiment_labels(
        [experiment(scenario="cluster-only", expert={"purity_threshold": value}) for value in (0.7, 0.8)]
    )

    assert labels == ["cluster-only (purity threshold 0.7)", "cluster-only (purity threshold 0.8)"]


def test_setting_is_not_said_of_a_scenario_that_it_does_not_concern() -> None:
    labels = experiment_labels(
        [
            experiment(scenario=scenario, expert={"purity_threshold": value})
            for scenario in ("random", "cluster-only")
            for value in (0.7, 0.8)
        ]
    )

    assert labels[:2] == ["random", "random"]


def test_datasets_have_their_own_usual_values() -> None:
    small, large = ({"name": "digits", "train_size": size, "test_size": 20} for size in (40, 60))
    experiments = [
        *(experiment(dataset=small, scenario="cluster-only", expert={"purity_threshold": v}) for v in (0.8, 0.8, 0.9)),
        experiment(dataset=large, scenario="cluster-only", expert={"purity_threshold": 0.9}),
    ]

    assert experiment_labels(experiments)[2:] == ["cluster-only (purity threshold 0.9)", "cluster-only"]


def test_settings_that_end_alike_are_said_whole() -> None:
    variants: list[dict[str, Any]] = [{}, {}, {}, {"iterations": 20}, {"clustering": {"iterations": 20}}]
    labels = experiment_labels([experiment(scenario="cluster-only", **variant) for variant in variants])

    assert labels[3:] == ["cluster-only (iterations 20)", "cluster-only (clustering.iterations 20)"]


def test_purity_threshold_of_a_nested_expert_is_the_same_setting() -> None:
    plain: dict[str, Any] = {"purity_threshold": 0.9}
    noisy: dict[str, Any] = {"name": "symmetric_noise", "of": {"purity_threshold": 0.9}}
    usual: dict[str, Any] = {"name": "symmetric_noise", "of": {"purity_threshold": 0.8}}
    experiments = [
        experiment(scenario="cluster-only", expert=expert)
        for expert in (plain, noisy, usual, usual | {"rate": 0.2}, {"name": "majority", "of": usual})
    ]

    assert "expert.purity_threshold" in varied_keys(experiments)
    assert not [key for key in varied_keys(experiments) if key.endswith(".of.purity_threshold")]
    assert [named_settings(one)["expert.purity_threshold"] for one in experiments] == [0.9, 0.9, 0.8, 0.8, 0.8]
    labels = experiment_labels(experiments)
    assert "purity threshold 0.9" in labels[0]
    assert labels[1:3] == ["cluster-only (purity threshold 0.9)", "cluster-only"]


def test_purity_threshold_of_a_nested_expert_concerns_clusters_only() -> None:
    expert = {"name": "symmetric_noise", "of": {"purity_threshold": 0.9}}

    assert concerns(experiment(scenario="cluster-only", expert=expert), "expert.purity_threshold")
    assert not concerns(experiment(scenario="random", expert=expert), "expert.purity_threshold")
