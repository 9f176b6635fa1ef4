"""The sweeps that simulate a team on the samples of its project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from raycal.algorithm.expert.oracle import SECONDS_PER_IMAGE
from raycal.annotate.advice.policies import Policy, policies
from raycal.config import ExperimentConfig

# A simulated project has as many rounds as the project, but not more than this. It always has two, because the first
# one asks a model that knows nothing.
FEWEST_ROUNDS, MOST_ROUNDS = 2, 4
# The smallest number of questions in a simulated round.
FEWEST_QUESTIONS = 10
# A policy whose rounds take less time gets more rounds, up to this multiple, because refused clusters and the last
# questions about a small pool make the planned time uncertain.
SPARE = 1.25
MOST_ROUNDS_OF_QUICK_POLICIES = 24
# All policies are tried with the first seeds. The best ones, and the current one, are compared with the other seeds, so
# that a policy that was only lucky is not advised.
TRIAL_SEEDS = (0, 1)
COMPARISON_SEEDS = tuple(range(2, 12))
# How the last layer is trained on frozen features if the project trains the whole network.
HEAD_TRAINING: Mapping[str, Any] = {"stop": "steps", "steps": 200, "learning_rate": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What is known about the people who answer.

    Attributes:
        prices: The prices of their answers, as options of the expert `oracle`.
        error_rate: The share of wrong answers about single samples.
    """

    prices: Mapping[str, float]
    error_rate: float = 0.0

    def expert(self, policy: Policy) -> dict[str, Any]:
        """The settings of the simulated expert."""
        oracle = {"name": "oracle", "purity_threshold": policy.threshold, **self.prices}
        noisy = {"name": "symmetric_noise", "rate": self.error_rate, "of": oracle} if self.error_rate else oracle
        return {"name": "few_images", "images_shown": policy.shown, "show": "random", "of": noisy}

    def seconds(self, policy: Policy, questions: int, pool: int, num_clusters: int | None) -> float:
        """The expected time of a round, if no cluster is refused.

        Args:
            policy: The policy.
            questions: The number of questions of the round.
            pool: The number of samples of the pool.
            num_clusters: The number of clusters that are formed; None means one per question about clusters.
        """
        seconds = 0.0
        for step, budget in policy.scenario.steps_with(questions):
            if not step.asks_clusters:
                seconds += budget * self._price("seconds_per_sample")
            elif budget:
                shown = min(policy.shown, pool / (num_clusters or budget))
                per_image = self.prices.get("seconds_per_image_shown", 0.0)
                seconds += budget * (self._price("seconds_per_cluster") + per_image * shown)
        return seconds

    def _price(self, name: str) -> float:
        return self.prices.get(name, SECONDS_PER_IMAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A project in small: the same experiment, on a random part of its samples.

    Attributes:
        config: The experiment of the project.
        current: The policy of the project.
        team: The people who answer.
        file: The place of the `.npz` file with the samples.
        pool: The number of samples of the simulated pool.
        share_of_pool: See `LabelsSoFar`.
    """

    config: ExperimentConfig
    current: Policy
    team: Team
    file: str
    pool: int
    share_of_pool: float

    @property
    def policies(self) -> list[Policy]:
        """The current policy, followed by the policies that are compared with it."""
        return policies(self.current, self.config.interactions_per_iteration)

    @property
    def rounds(self) -> int:
        """The number of rounds under the current policy."""
        return min(MOST_ROUNDS, max(FEWEST_ROUNDS, self.config.iterations))

    @property
    def questions(self) -> int:
        """The number of questions in a round: as many in proportion to the pool as in the project, so that clusters are
        as large as there. Single questions alone do not use up more than half of the pool.
        """
        in_proportion = round(self.config.interactions_per_iteration * self.share_of_pool)
        return max(2, min(max(FEWEST_QUESTIONS, in_proportion), self.pool // (2 * self.rounds)))

    def num_clusters(self, policy: Policy) -> int | None:
        """The number of clusters that are formed."""
        if policy.num_clusters is None or not policy.scenario.forms_clusters:
            return None
        in_proportion = policy.num_clusters * self.questions / self.config.interactions_per_iteration
        return max(2, round(in_proportion))

    def rounds_of(self, policy: Policy) -> int:
        """The number of rounds under a policy, which together take at least as long as those of the current policy."""
        if policy == self.current:
            return self.rounds
        ratio = self._seconds(self.current) / max(self._seconds(policy), 1e-9)
        wanted = ceil(SPARE * self.rounds * ratio)
        return max(1, min(wanted, MOST_ROUNDS_OF_QUICK_POLICIES, self.pool // self.questions))

    def _seconds(self, policy: Policy) -> float:
        return self.team.seconds(policy, self.questions, self.pool, self.num_clusters(policy))

    def sweep(self, name: str, policies: Sequence[Policy], seeds: Sequence[int]) -> dict[str, Any]:
        """The sweep file with one experiment for each policy and each seed, in this order.

        Args:
            name: The name of the sweep.
        """
        config = self.config
        shared = config.model_dump(mode="json", include={"acquisition", "ask_with", "keep_cluster_labels"})
        return {
            "name": name,
            "experiment": {
                "dataset": {"name": "embeddings", "file": self.file, "vectors": "vectors", "label": "label"}
                | {"split": "split"},
                "model": {"name": "linear"},
                "interactions_per_iteration": self.questions,
                "training": head_training(config),
                **shared,
            },
            "grid": {"include": [self._settings(policy) | {"seed": seed} for policy in policies for seed in seeds]},
            # A linear layer is so small that a second thread makes it slower, so each trial has one core.
            "resources": {"gpus_per_worker": 0, "cpus_per_worker": 1},
        }

    def _settings(self, policy: Policy) -> dict[str, Any]:
        """The settings in which the experiments differ."""
        clustering = self.config.clustering.model_dump(mode="json")
        changed = {"num_clusters": self.num_clusters(policy), "on_refusal": policy.on_refusal}
        own = self.config.scenario
        is_own = policy.scenario == self.current.scenario and not isinstance(own, str)
        return {
            "scenario": own.model_dump(mode="json") if is_own and not isinstance(own, str) else policy.scenario.name,
            "iterations": self.rounds_of(policy),
            "clustering": clustering | changed,
            "expert": self.team.expert(policy),
        }


def head_training(config: ExperimentConfig) -> dict[str, Any]:
    """How the last layer is trained: as in the project, if that trains the last layer alone."""
    if not config.model.trains_head_alone:
        return dict(HEAD_TRAINING)
    only_for_images = {"image_size", "horizontal_flip", "augmentation"}
    settings: dict[str, Any] = config.training.model_dump(mode="json", exclude=only_for_images)
    if settings["cluster_weight"] == "posterior":  # a simulated team knows no other answers about an image
        del settings["cluster_weight"]
    return {key: value for key, value in settings.items() if key not in config.training.without_effect}
