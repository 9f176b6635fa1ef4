"""Tests on which settings an experiment's id depends, with golden ids of earlier versions and the `Affects` marks of
settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from raycal.algorithm.expert import CLUSTER_ANSWERS, SAMPLE_ANSWERS, Oracle, experts
from raycal.algorithm.expert.answers import ALL_ANSWERS, ORACLE, OtherExpert
from raycal.algorithm.scenario import SCENARIOS, Use
from raycal.config import ExperimentConfig, TrainingConfig
from raycal.config.component import ClusteringConfig, ComponentConfig, ModelConfig
from raycal.config.loop_settings import loop_settings
from raycal.experiment import build
from raycal.registry import Affects, Registry, declared

GOLDEN = Path(__file__).with_name("experiment_ids.json")
SAMPLES_ONLY, CLUSTERS_ONLY = "random", "cluster-only"


def config(**settings: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"dataset": "digits", "scenario": "random"} | settings, context=build.REGISTRIES
    )


class Own(Oracle):
    """A user's expert. Its options have the same names as options of raycal's experts, but do not declare what they
    affect.
    """

    def __init__(
        self, true_labels: Any, *, show: float = 0.0, images_shown: int = 1, seconds_per_cluster: float = 0.0
    ) -> None:
        super().__init__(true_labels)


class Marked(Oracle):
    def __init__(
        self,
        true_labels: Any,
        *,
        show: Annotated[int, SAMPLE_ANSWERS] = 0,
        tidy: Annotated[int, CLUSTER_ANSWERS] = 0,
    ) -> None:
        super().__init__(true_labels)


class Pair(Oracle):
    """Wraps two experts, one for each kind of question; the second's cluster answers also affect single images."""

    def __init__(
        self,
        true_labels: Any,
        *,
        first: OtherExpert = ORACLE,
        second: Annotated[OtherExpert, ALL_ANSWERS] = ORACLE,
    ) -> None:
        super().__init__(true_labels)


@pytest.fixture(autouse=True)
def own_experts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, expert in {"own": Own, "marked": Marked, "pair": Pair}.items():
        monkeypatch.setitem(experts._entries, f"{name}_of_test_ids", expert)


@pytest.mark.parametrize(("settings", "experiment_id"), json.loads(GOLDEN.read_text()))
def test_existing_experiments_keep_their_ids(settings: dict[str, Any], experiment_id: str) -> None:
    assert config(**settings).experiment_id == experiment_id


@pytest.mark.parametrize(
    "option", [{"show": 1.0}, {"images_shown": 2}, {"seconds_per_cluster": 3.0}], ids=lambda option: next(iter(option))
)
@pytest.mark.parametrize("scenario", [SAMPLES_ONLY, "supervised", "representative-only", CLUSTERS_ONLY])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_unmarked_option_of_an_own_expert_is_never_dropped(option: dict[str, Any], scenario: str, depth: int) -> None:
    plain: dict[str, Any] = {"name": "own_of_test_ids"}
    for_option = plain | option
    for _ in range(depth):
        plain, for_option = ({"name": "majority", "of": expert} for expert in (plain, for_option))

    ids = [config(scenario=scenario, expert=expert).experiment_id for expert in (plain, for_option)]

    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("option", "matters"), [("show", [SAMPLES_ONLY, "representative-only"]), ("tidy", [CLUSTERS_ONLY])]
)
@pytest.mark.parametrize("around", ["{}", '{{"name": "few_images", "of": {}}}'])
def test_own_mark_decides_whatever_the_option_is_called(option: str, matters: list[str], around: str) -> None:
    scenarios = (SAMPLES_ONLY, "representative-only", CLUSTERS_ONLY)

    def of(value: int, scenario: str) -> str:
        expert = around.format(json.dumps({"name": "marked_of_test_ids", option: value}))
        return config(scenario=scenario, expert=json.loads(expert)).experiment_id

    assert [scenario for scenario in scenarios if of(0, scenario) != of(1, scenario)] == matters


def test_nested_expert_is_decided_by_its_own_options_under_whatever_key() -> None:
    def of(**options: Any) -> str:
        return config(expert={"name": "pair_of_test_ids", **options}).experiment_id

    assert of(first={"purity_threshold": 0.5}) == of()
    assert of(first={"seconds_per_sample": 1.0}) != of()
    assert of(second={"purity_threshold": 0.5}) != of()  # The mark of the option that holds the expert decides.


def test_options_of_an_expert_that_is_not_registered_are_kept() -> None:
    def of(value: float) -> str:
        expert = {"name": "elsewhere", "purity_threshold": value, "of": {"name": "oracle", "show": 1}}
        given = {"dataset": {"name": "digits"}, "scenario": "random", "expert": expert}
        return ExperimentConfig.model_validate(given).experiment_id

    assert of(0.5) != of(0.6)


def test_option_of_a_loss_is_not_taken_for_the_setting_of_that_name() -> None:
    def of(weight: float) -> str:
        loss = {"name": "own", "cluster_weight": weight}
        given = {"dataset": {"name": "digits"}, "scenario": "random", "training": {"loss": loss}}
        return ExperimentConfig.model_validate(given).experiment_id

    assert of(0.5) != of(0.6)


def test_option_with_the_name_of_a_setting_of_every_clustering_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(embeddings: Any, num_clusters: int, seed: int, /, *, on_refusal: int = 3) -> Any:
        return np.zeros(len(embeddings), np.int64)

    clusterings = build.REGISTRIES["clustering"]
    monkeypatch.setitem(clusterings._entries, "own_of_test_ids", own)

    with pytest.raises(ValidationError, match="cannot have an option called 'on_refusal'"):
        config(clustering="own_of_test_ids")


@pytest.mark.parametrize("name", [name for name in experts if not name.endswith("_of_test_ids")])
def test_every_option_of_an_expert_says_which_answers_it_affects(name: str) -> None:
    unclassified = [
        key for key, option in experts.options(name).items() if option.nested is None and option.affects is None
    ]

    assert unclassified == []


@pytest.mark.parametrize("kind", [kind for kind in build.REGISTRIES if kind != "expert"])
def test_options_of_other_extensions_matter_whenever_the_extension_does(kind: str) -> None:
    """Options of kinds of extensions other than experts must not declare `Affects`, because no code would read the
    declaration."""
    registry: Registry[Any] = build.REGISTRIES[kind]

    assert [(name, key) for name in registry for key, option in registry.options(name).items() if option.affects] == []


@pytest.mark.parametrize("model", [ExperimentConfig, TrainingConfig, ModelConfig, ComponentConfig, ClusteringConfig])
def test_every_field_says_which_experiments_it_affects(model: type[BaseModel]) -> None:
    assert [key for key, field in model.model_fields.items() if declared(field.metadata) is None] == []


def test_marks_name_uses_that_some_scenario_has() -> None:
    marks = [
        *(
            declared(field.metadata)
            for model in (ExperimentConfig, TrainingConfig, ClusteringConfig)
            for field in model.model_fields.values()
        ),
        *(option.affects for name in experts for option in experts.options(name).values()),
    ]
    named = set[str]().union(*(mark.uses for mark in marks if mark is not None))

    assert named == set(Use)
    assert set[str]().union(*(scenario.uses for scenario in SCENARIOS.values())) == set(Use)


@pytest.mark.parametrize(
    ("mark", "uses", "expected"),
    [
        (Affects(), (), True),
        (Affects(Use.CLUSTERS), (), False),
        (Affects(Use.CLUSTERS), (Use.BUDGET,), False),
        (Affects(Use.CLUSTERS, Use.BUDGET), (Use.BUDGET,), True),
    ],
)
def test_mark_concerns_experiments_with_one_of_its_uses(mark: Affects, uses: tuple[Use, ...], expected: bool) -> None:
    assert mark.concerns(uses) is expected


class TestPurityThreshold:
    @pytest.mark.parametrize(
        ("expert", "key", "value"),
        [
            ({"purity_threshold": 0.7}, "expert.purity_threshold", 0.7),
            ({"name": "majority", "of": {"purity_threshold": 0.7}}, "expert.of.purity_threshold", 0.7),
            (
                {"name": "few_images", "of": {"name": "symmetric_noise", "of": {"purity_threshold": 0.6}}},
                "expert.of.of.purity_threshold",
                0.6,
            ),
            ({"name": "own_of_test_ids"}, None, None),
            ({"name": "few_images", "of": {"name": "own_of_test_ids"}}, None, None),
        ],
    )
    def test_that_of_the_innermost_expert(self, expert: Mapping[str, Any], key: str | None, value: float) -> None:
        found = config(scenario=CLUSTERS_ONLY, expert=expert)

        assert (found.purity_threshold_key, found.purity_threshold) == (key, value)
        assert loop_settings(found).clusters.purity_threshold == (value or 0.0)
