from typing import Any

import pytest
from small_iterations import experiment

from raycal.config import ExperimentConfig
from raycal.config.dataset_names import dataset_names
from raycal.config.labels import (
    concerns,
    condition_labels,
    experiment_labels,
    named_settings,
    trial_labels,
    trials_csv,
    varied_keys,
    without_plain_weights,
)
from raycal.errors import InputError
from raycal.experiment.build import REGISTRIES
from raycal.sweep.preflight import select


def test_condition_is_the_scenario_where_only_scenarios_and_seeds_vary() -> None:
    experiments = [experiment(scenario=name, seed=seed) for name in ("random", "cluster-only") for seed in (0, 1)]

    assert condition_labels(experiments) == ["random", "random", "cluster-only", "cluster-only"]


def test_condition_has_every_setting_that_varies_and_concerns_it_and_the_dataset() -> None:
    experiments = [
        experiment(scenario=name, dataset={"name": "digits", "train_size": size}, expert={"purity_threshold": value})
        for name, size, value in (("random", 9, 0.8), ("cluster-only", 9, 0.8), ("cluster-only", 8, 0.9))
    ]

    assert condition_labels(experiments) == [
        "random digits (train_size=9)",
        "cluster-only (purity threshold 0.8) digits (train_size=9)",
        "cluster-only (purity threshold 0.9) digits (train_size=8)",
    ]


def test_value_of_more_than_half_of_the_groups_is_not_said() -> None:
    shown = [("cluster-only", 0.8), ("uncertain+cluster", 0.8), ("cluster-only", 0.9)]
    labels = experiment_labels(
        [experiment(scenario=scenario, expert={"purity_threshold": value}) for scenario, value in shown]
    )

    assert labels == ["cluster-only", "uncertain+cluster", "cluster-only (purity threshold 0.9)"]


def test_weights_are_said_only_if_a_network_has_several() -> None:
    def of(name: str, weights: str) -> ExperimentConfig:
        return experiment(model={"name": name, "weights": weights})

    plain = [of("resnet18", "a.pth"), of("resnet34", "b.pth")]
    several = [*plain, of("resnet34", "c.pth")]
    alone = [of("resnet18", "a.pth"), of("resnet18", "b.pth")]

    assert condition_labels(plain) == ["random (model resnet18)", "random (model resnet34)"]
    assert experiment_labels(plain) == condition_labels(plain)
    assert len(set(condition_labels(several))) == 3
    assert condition_labels(several)[2] == "random (model resnet34, weights c.pth)"
    assert condition_labels(alone) == ["random (weights a.pth)", "random (weights b.pth)"]
    assert without_plain_weights(["model.name", "model.weights", "seed"], plain) == ["model.name", "seed"]


def test_more_seeds_of_a_value_do_not_make_it_usual() -> None:
    """A sweep that first ran two seeds at 0.7 and was extended by one seed at 0.9 names both thresholds."""
    shown = [("random", 0.7, 0), ("cluster-only", 0.7, 0), ("cluster-only", 0.7, 1), ("cluster-only", 0.9, 1)]
    labels = experiment_labels(
        [experiment(scenario=name, seed=seed, expert={"purity_threshold": value}) for name, value, seed in shown]
    )

    low, high = (f"cluster-only (purity threshold {value})" for value in (0.7, 0.9))
    assert labels == ["random", low, low, high]


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
        *(
            experiment(dataset=small, scenario=scenario, expert={"purity_threshold": value})
            for scenario, value in (("cluster-only", 0.8), ("uncertain+cluster", 0.8), ("cluster-only", 0.9))
        ),
        experiment(dataset=large, scenario="cluster-only", expert={"purity_threshold": 0.9}),
    ]

    assert experiment_labels(experiments)[2:] == ["cluster-only (purity threshold 0.9)", "cluster-only"]


def test_settings_that_end_alike_are_said_whole() -> None:
    variants: list[dict[str, Any]] = [{}, {"iterations": 20}, {"clustering": {"iterations": 20}}]
    labels = experiment_labels([experiment(scenario="cluster-only", **variant) for variant in variants])

    assert labels[1:] == ["cluster-only (iterations 20)", "cluster-only (clustering.iterations 20)"]


def test_purity_threshold_of_a_nested_expert_is_the_same_setting() -> None:
    plain: dict[str, Any] = {"purity_threshold": 0.9}
    noisy: dict[str, Any] = {"name": "symmetric_noise", "of": {"purity_threshold": 0.9}}
    usual: dict[str, Any] = {"name": "symmetric_noise", "of": {"purity_threshold": 0.8}}
    experiments = [
        experiment(scenario="cluster-only", expert=expert)
        for expert in (plain, noisy, usual, usual | {"rate": 0.3}, {"name": "majority", "of": usual})
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


class TestTrialLabels:
    """Tests the readable name of every trial, and the table of the trials."""

    def made(self, *settings: dict[str, Any]) -> dict[str, ExperimentConfig]:
        configs = [
            ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random"} | given, context=REGISTRIES)
            for given in settings
        ]
        return {config.experiment_id: config for config in configs}

    def labels(self, *settings: dict[str, Any]) -> list[str]:
        return list(trial_labels(self.made(*settings)).values())

    def test_every_varied_setting_that_matters_and_the_seed_are_said(self) -> None:
        settings = [{"scenario": "cluster-only", "expert": {"purity_threshold": value}} for value in (0.7, 0.8)]

        assert self.labels(*settings, {"seed": 3}) == [
            "cluster-only (purity threshold 0.7) s0",
            "cluster-only (purity threshold 0.8) s0",
            "random s3",
        ]

    def test_usual_value_is_said_too(self) -> None:
        assert self.labels(*({"iterations": t, "seed": s} for t, s in ((1, 0), (1, 1), (2, 0)))) == [
            "random (iterations 1) s0",
            "random (iterations 1) s1",
            "random (iterations 2) s0",
        ]

    def test_optimizer_and_augmentation_are_said(self) -> None:
        adamw = {"optimizer": "adamw", "augmentation": ["flip", {"name": "crop", "padding": 0.25}]}

        assert self.labels({}, {"training": adamw}) == [
            "random (optimizer sgd, augmentation none) s0",
            "random (optimizer adamw, augmentation flip+crop padding 0.25) s0",
        ]

    def test_several_datasets_are_said(self) -> None:
        assert self.labels({"dataset": "digits"}, {"dataset": {"name": "digits", "train_size": 9}}) == [
            "random s0 digits (train_size=None)",
            "random s0 digits (train_size=9)",
        ]

    def test_searched_keys_are_said_of_the_first_experiment(self) -> None:
        assert list(trial_labels(self.made({"iterations": 4}), ["iterations", "seed"]).values()) == [
            "random (iterations 4) s0"
        ]

    def test_table_has_a_row_for_every_trial_and_a_column_for_every_varied_setting(self) -> None:
        made = self.made(
            {"scenario": "cluster-only", "clustering": {"num_clusters": 5}},
            {"scenario": "cluster-only", "clustering": {"num_clusters": 7}},
            {"seed": 1},
        )
        first, second, third = made

        assert trials_csv(made, [second]).splitlines() == [
            "id,label,scenario,dataset,seed,clustering.num_clusters,in_sweep_file",
            f"{first},cluster-only (num clusters 5) s0,cluster-only,digits,0,5,yes",
            f"{second},cluster-only (num clusters 7) s0,cluster-only,digits,0,7,no",
            f"{third},random s1,random,digits,1,-,yes",
        ]


class TestLongLabels:
    """Tests labels that also name settings that do not vary. A user who knows the sweep file may write such labels."""

    @pytest.fixture
    def matched(self) -> Any:
        made = [
            ExperimentConfig.model_validate({"dataset": "digits", **given}, context=REGISTRIES)
            for given in (
                {"scenario": "random", "expert": {"purity_threshold": 0.7}},
                {"scenario": "cluster-only", "expert": {"purity_threshold": 0.7}, "clustering": {"num_clusters": 5}},
                {"scenario": "cluster-only", "expert": {"purity_threshold": 0.7}, "clustering": {"num_clusters": 7}},
            )
        ]
        experiments = {config.experiment_id: config for config in made}
        labels = trial_labels(experiments)
        assert list(labels.values()) == [
            "random s0",
            "cluster-only (num clusters 5) s0",
            "cluster-only (num clusters 7) s0",
        ]
        return lambda pattern: [labels[key] for key in select(experiments, [pattern], labels)]

    @pytest.mark.parametrize(
        ("pattern", "labels"),
        [
            ("random (purity threshold 0.7) s0", ["random s0"]),
            ("random (expert.purity_threshold 0.7) s0", ["random s0"]),
            ("random (purity threshold 0.7, epochs *) s0", ["random s0"]),
            ("random s0 digits", ["random s0"]),
            ("cluster-only (purity threshold 0.7, num clusters 7) s0", ["cluster-only (num clusters 7) s0"]),
            ("cluster-only (num clusters 5, purity threshold 0.7) s0 digits", ["cluster-only (num clusters 5) s0"]),
            (
                "cluster* (purity threshold 0.7, num clusters *) s*",
                ["cluster-only (num clusters 5) s0", "cluster-only (num clusters 7) s0"],
            ),
        ],
    )
    def test_label_may_say_more_than_it_has_to(self, matched: Any, pattern: str, labels: list[str]) -> None:
        assert matched(pattern) == labels

    @pytest.mark.parametrize(
        ("pattern", "nearest"),
        [
            ("random (purity threshold 0.75) s0", "'random s0'"),
            ("random (purity threshold 0.7) s1", "'random s0'"),
            ("cluster-only (purity threshold 0.7) s0", "'cluster-only (num clusters 7) s0'"),
            ("randon s0", "'random s0'"),
            ("cluster-only (num clusters 6) s0", "'cluster-only (num clusters 5) s0'"),
        ],
    )
    def test_pattern_that_matches_nothing_is_told_the_nearest_labels(
        self, matched: Any, pattern: str, nearest: str
    ) -> None:
        with pytest.raises(InputError) as refused:
            matched(pattern)

        (line,) = refused.value.problems
        assert line.startswith(f"--only {pattern}: matches none of the 3 trials; the nearest: ")
        assert nearest in line
        assert line.endswith("; --dry-run lists them")


@pytest.mark.parametrize(
    ("roots", "names"),
    [
        (["~/birds"], ["birds"]),
        (["~/birds/"], ["birds"]),
        (["/data/Birds/Images/train"], ["Birds/Images"]),
        (["~/birds/train", "/other/cats/Test"], ["birds", "cats"]),
        (["/disk/nc/data"], ["nc/data"]),
        (["/disk/nc/data/"], ["nc/data"]),
        (["data"], ["data"]),
        (["/disk/nc/images", "/disk/nc/data"], ["nc/images", "nc/data"]),
        (["/disk/l/root"], ["l/root"]),
        (["/disk/seg_train/seg_train"], ["seg_train"]),
        (["/a/birds", "/a/birds/train"], ["a/birds", "a/birds/train"]),
        (["/a/x/data", "/b/x/data"], ["a/x/data", "b/x/data"]),
        (["/mnt/data/train"], ["mnt/data/train"]),
        (["."], ["image_folder"]),
        (["/a/birds", "/b/birds"], ["a/birds", "b/birds"]),
        (["/a/birds", "/b/cats"], ["birds", "cats"]),
        (["/a/birds", "/c/a/birds"], ["a/birds", "c/a/birds"]),
        (["/a/birds/train", "/a/birds/test"], ["a/birds/train", "a/birds/test"]),
        (["/data/train", "/data/images"], ["data/train", "data/images"]),
    ],
)
def test_image_folder_is_called_by_its_name(roots: list[str], names: list[str]) -> None:
    configs = [
        ExperimentConfig.model_validate(
            {"dataset": {"name": "image_folder", "root": root}, "scenario": "random"}, context=REGISTRIES
        )
        for root in roots
    ]

    assert dataset_names(configs) == names
    assert all(config.experiment_id.startswith("image_folder-") for config in configs)
