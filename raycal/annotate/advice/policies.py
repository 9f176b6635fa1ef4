"""The policies that the advice compares: which questions are asked, and how people answer those about clusters."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from raycal.algorithm.cluster_queue import OnRefusal
from raycal.algorithm.scenario import SCENARIOS, Scenario
from raycal.config import ExperimentConfig
from raycal.people.shown import FEW

# People have no purity threshold in their settings. A team that was told nothing is assumed to have the paper's one.
USUAL_THRESHOLD = 0.8
THRESHOLDS = (0.7, 0.9)
# The page shows `FEW` samples of a large cluster. The simulation also tries fewer.
FEWER_SHOWN = 12
TRIED = ("random", "uncertain-only", "cluster-only", "uncertain+cluster", "cluster+uncertain")

Change = Literal["scenario", "num_clusters", "threshold", "shown", "on_refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A way to spend the time of people.

    Attributes:
        scenario: The scenario.
        num_clusters: The setting `clustering.num_clusters` of the project; None means one cluster per question.
        threshold: The share of alike samples from which on people label a cluster. Not used without clusters.
        shown: How many samples of a cluster people look at.
        on_refusal: What happens to a cluster that is too mixed: `split` means that people press S, and not X.
    """

    scenario: Scenario
    num_clusters: int | None = None
    threshold: float = USUAL_THRESHOLD
    shown: int = FEW
    on_refusal: OnRefusal = "skip"

    def changes(self, other: "Policy") -> set[Change]:
        """What is different in another policy. Settings of clusters do not count if neither asks about clusters."""
        names: tuple[Change, ...] = ("scenario", "num_clusters", "threshold", "shown", "on_refusal")
        if not other.scenario.forms_clusters:
            names = names[:1]
        return {name for name in names if getattr(self, name) != getattr(other, name)}

    def may_follow(self, current: "Policy") -> bool:
        """Whether people whose project has the current policy can change to this one without a new project.

        The scenario and the number of clusters are settings of the project, which must not change once it has begun.
        How mixed a cluster may be, and whether it is split, is what people decide while they label. The number of
        samples shown is a constant of the page.
        """
        return current.changes(self) <= {"threshold", "on_refusal"}


def policy_of(config: ExperimentConfig) -> Policy:
    """The policy of a project."""
    return Policy(
        scenario=config.resolved_scenario,
        num_clusters=config.clustering.num_clusters,
        on_refusal=config.clustering.on_refusal,
    )


def policies(current: Policy, interactions: int) -> list[Policy]:
    """The current policy, followed by the policies that are compared with it.

    Each scenario is tried with the settings of the current policy, and each scenario that asks about clusters also with
    one of these settings changed, and with more clusters and splits together.

    Args:
        current: The policy of the project.
        interactions: The number of questions in a round of the project.
    """
    tried: list[Policy] = []
    for scenario in (current.scenario, *(SCENARIOS[name] for name in TRIED)):
        for policy in _variants(replace(current, scenario=scenario), interactions):
            if policy not in tried:
                tried.append(policy)
    return tried


def _variants(policy: Policy, interactions: int) -> Iterator[Policy]:
    yield policy
    if not policy.scenario.forms_clusters:
        return
    doubled = 2 * (policy.num_clusters or num_questions(policy.scenario, interactions))
    other: OnRefusal = "skip" if policy.on_refusal == "split" else "split"
    yield replace(policy, num_clusters=doubled)
    yield replace(policy, on_refusal=other)
    yield replace(policy, num_clusters=doubled, on_refusal=other)
    for threshold in THRESHOLDS:
        yield replace(policy, threshold=threshold)
    yield replace(policy, shown=FEWER_SHOWN)


def num_questions(scenario: Scenario, interactions: int) -> int:
    """The number of questions about clusters in a round."""
    return sum(budget for step, budget in scenario.steps_with(interactions) if step.asks_clusters)


def project_settings(policy: Policy, current: Policy) -> dict[str, Any]:
    """The settings of a project file that are different under another policy, by dotted key.

    A split is not among them, because on the page people may split any cluster.
    """
    changes = current.changes(policy)
    settings: dict[str, Any] = {}
    if "scenario" in changes:
        settings["scenario"] = policy.scenario.name
    if "num_clusters" in changes:
        settings["clustering.num_clusters"] = policy.num_clusters
    return settings
