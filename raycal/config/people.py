"""The settings that an experiment cannot have if people answer its questions."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from raycal.algorithm.expert import experts
from raycal.algorithm.expert.people import PEOPLE
from raycal.algorithm.scenario import Ask, Scenario
from raycal.config.component import ClusteringConfig, ComponentConfig
from raycal.config.scenario import OwnScenario
from raycal.config.training import TrainingConfig


class Experiment(Protocol):
    """The settings of an `ExperimentConfig` that depend on who answers."""

    @property
    def expert(self) -> ComponentConfig: ...
    @property
    def scenario(self) -> str | OwnScenario: ...
    @property
    def resolved_scenario(self) -> Scenario: ...
    @property
    def clustering(self) -> ClusteringConfig: ...
    @property
    def training(self) -> TrainingConfig: ...
    @property
    def retrain_between(self) -> bool: ...
    @property
    def workers(self) -> int: ...


def asks_people(config: Experiment) -> bool:
    """Whether people answer the questions of an experiment, and not a simulated expert."""
    return config.expert.name == PEOPLE


def misfits_with_people(config: Experiment) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """The settings that conflict with people as the expert: key, value and reason."""
    settings: Mapping[str, Any] = config.expert.model_dump()
    if any(path and expert["name"] == PEOPLE for path, expert in experts.chain(settings)):
        yield ("expert", "name"), settings["name"], f"cannot wrap the expert {PEOPLE}, who make errors of their own"
    if not asks_people(config):
        if config.training.cluster_weight == "posterior":
            words = f"can be posterior only with the expert {PEOPLE}, whose answers are weighed against each other"
            yield ("training", "cluster_weight"), "posterior", words
        return
    if config.resolved_scenario.asks(Ask.REPRESENTATIVES):
        words = f"should ask about images or clusters with the expert {PEOPLE}, not about representatives"
        yield ("scenario",), config.scenario, words
    if config.retrain_between:
        words = f"should be false with the expert {PEOPLE}, who would have to wait for the training"
        yield ("retrain_between",), True, words
    if config.clustering.order == "oracle":
        words = f"cannot be oracle with the expert {PEOPLE}, whose answers are not known in advance"
        yield ("clustering", "order"), "oracle", words
    if config.training.cluster_weight == "purity":
        words = f"cannot be purity with the expert {PEOPLE}, because the purity of a cluster is not known"
        yield ("training", "cluster_weight"), "purity", words
    if config.workers > 1:
        words = f"should be 1 with the expert {PEOPLE}, not {config.workers}"
        yield ("workers",), config.workers, words
