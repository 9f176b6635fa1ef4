"""The claims of the paper in our words, as data: for each claim, its section and the rule that decides whether it
holds.

Perez, Lebret, Aberer, "Weakly Supervised Active Learning with Cluster Annotation" (arXiv 1812.11780).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Measure = Literal[
    "full supervision", "similar accuracy", "best area", "lowest label error", "label error falls", "annotated grows",
    "more than spent",
]  # fmt: skip

# Two accuracies that differ by at most one percentage point count as similar, and a number of the paper counts as
# reproduced within the same margin.
MARGIN = 0.01
BEST = "uncertain+cluster"
CLUSTER_SCENARIOS = ("cluster-only", "uncertain+cluster", "cluster+uncertain")
SCENARIOS = ("random", "uncertain-only", *CLUSTER_SCENARIOS)

_SHARED = {
    "model.name": "resnet18",
    "model.weights": "imagenet",
    "model.frozen": False,
    "dataset.train_size": None,
    "dataset.test_size": None,
    "training.momentum": 0.9,
    "training.weight_decay": 5e-4,
    "training.image_size": 224,
    "training.loss.name": "cross_entropy",
    "training.cluster_weight": 1.0,
}
_ASKING = {
    "acquisition.name": "entropy",
    "clustering.name": "kmeans",
    "clustering.iterations": 40,
    "clustering.num_clusters": None,
    "clustering.core": 1.0,
    "clustering.order": "size",
    "clustering.on_refusal": "skip",
    "expert.name": "oracle",
    "expert.purity_threshold": 0.8,
    "retrain_between": False,
    "keep_cluster_labels": False,
}
_CIFAR10 = _SHARED | {"training.epochs": 5, "training.learning_rate": 1e-3}
_EUROSAT = _SHARED | {"training.epochs": 8, "training.learning_rate": 1e-4, "dataset.test_fraction": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of the paper.

    Attributes:
        words: The claim in words.
        section: The section of the paper that makes the claim.
        compared: A description of what is measured per seed.
        rule: The rule that decides whether the claim holds, does not hold, or is undecided.
        measure: The kind of measurement.
        dataset: The dataset that the claim is about. None means any dataset.
        conditions: The settings, by dotted key, under which the claim was made; empty if it holds for any settings.
        accuracy: The accuracy of full supervision in the paper; None if the claim has no such accuracy.
        interactions: The number of interactions that was enough in the paper; None if the claim has no such number.
    """

    id: str
    words: str
    section: str
    compared: str
    rule: str
    measure: Measure
    dataset: str | None = None
    conditions: Mapping[str, Any]
    accuracy: float | None = None
    interactions: int | None = None


_NUMBER = f"holds: the interval lies within {MARGIN} of it; does not: it lies outside"
_SIMILAR = f"holds: the interval lies above -{MARGIN}; does not: below"
_DIFFERENCE = "holds: every interval lies above 0; does not: one lies below"

CLAIMS = (
    Claim(
        id="full-supervision-cifar10",
        words="Full supervision has a test accuracy of 0.950 ± 0.003 on CIFAR-10",
        section="experiments, full supervision",
        compared="final accuracy of supervised",
        rule=_NUMBER,
        measure="full supervision",
        dataset="cifar10",
        conditions=_CIFAR10,
        accuracy=0.950,
    ),
    Claim(
        id="full-supervision-eurosat",
        words="Full supervision has a test accuracy of 0.973 ± 0.001 on EuroSAT",
        section="experiments, full supervision",
        compared="final accuracy of supervised",
        rule=_NUMBER,
        measure="full supervision",
        dataset="eurosat",
        conditions=_EUROSAT,
        accuracy=0.973,
    ),
    Claim(
        id="fewer-interactions-cifar10",
        words="9,000 interactions instead of 50,000, 82 % fewer, give a similar test accuracy on CIFAR-10",
        section="abstract",
        compared=f"accuracy of {BEST} at 9,000 interactions minus that of supervised",
        rule=_SIMILAR,
        measure="similar accuracy",
        dataset="cifar10",
        conditions=_CIFAR10 | _ASKING | {"interactions_per_iteration": 1000},
        interactions=9000,
    ),
    Claim(
        id="fewer-interactions-eurosat",
        words="2,800 interactions instead of 21,600, 87 % fewer, give a similar test accuracy on EuroSAT",
        section="abstract",
        compared=f"accuracy of {BEST} at 2,800 interactions minus that of supervised",
        rule=_SIMILAR,
        measure="similar accuracy",
        dataset="eurosat",
        conditions=_EUROSAT | _ASKING | {"interactions_per_iteration": 400},
        interactions=2800,
    ),
    Claim(
        id="uncertain-cluster-best",
        words="uncertain+cluster reaches a given accuracy with the fewest interactions",
        section="figure 2",
        compared=f"AUBC of {BEST} minus that of each other scenario, over the interactions they share",
        rule=_DIFFERENCE,
        measure="best area",
        conditions={},
    ),
    Claim(
        id="lowest-label-error",
        words="The label error is lowest in uncertain+cluster",
        section="figure 3",
        compared=f"mean cluster label error of each other cluster scenario minus that of {BEST}, over the interactions "
        "they share",
        rule=_DIFFERENCE,
        measure="lowest label error",
        conditions={},
    ),
    Claim(
        id="label-error-falls",
        words="The label error falls over the iterations",
        section="figure 3",
        compared="first cluster label error minus the last, in each cluster scenario",
        rule=_DIFFERENCE,
        measure="label error falls",
        conditions={},
    ),
    Claim(
        id="annotated-grows",
        words="The number of annotated images grows in every iteration",
        section="figure 3",
        compared="annotated images minus those of the iteration before, in each cluster scenario",
        rule=_DIFFERENCE,
        measure="annotated grows",
        conditions={},
    ),
    Claim(
        id="more-annotated-than-interactions",
        words="Clusters give more annotated images than there are interactions",
        section="abstract, figure 3",
        compared="annotated images minus interactions at the end, in each cluster scenario",
        rule=_DIFFERENCE,
        measure="more than spent",
        conditions={},
    ),
)
