"""What the parts of an experiment hand to each other: frozen data, no behaviour beyond looking at itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the asking model says of D^U, and in a step that may ask for them of the samples with a kept label.

    Attributes:
        indices: (U,) int64, ascending.
        probs: (U, K) float32, rows sum to one.
        embeddings: (U, D) float32, the features before the head, not normalised.
    """

    indices: Indices
    probs: Floats
    embeddings: Floats

    def restrict(self, indices: Indices) -> Self:
        """The same predictions for a part of the samples; `indices` ascending and all predicted."""
        if len(indices) == len(self.indices):
            return self
        rows = np.searchsorted(self.indices, indices)
        return type(self)(indices=indices, probs=self.probs[rows], embeddings=self.embeddings[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """D^L and D^CL with the labels the expert gave, and the pseudo-labelled.

    Attributes:
        indices: (M,) int64, ascending.
        labels: (M,) int64, as given; not necessarily true.
        weights: (M,) float32, above 0, of the samples' losses; None: all the same.
    """

    indices: Indices
    labels: Labels
    weights: Floats | None = None


class Kind(StrEnum):
    """What the expert was shown."""

    SAMPLE = "sample"
    CLUSTER = "cluster"


class Answer(StrEnum):
    """What the expert did with it."""

    LABELLED = "labelled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One human interaction: one row of the ledger.

    Attributes:
        iteration: From 0.
        step: Which annotation step of the scenario, from 0.
        interaction: Running number in the experiment, from 1: the interactions spent up to and including this one.
        kind: A single sample or a cluster.
        answer: Whether the expert gave a label.
        label: The label given; None when refused.
        purity: Share of the modal class in the cluster; None for a sample or when it is not known.
        wrong: How many of the samples got a label that is not theirs; None when refused or not known.
        seconds: What the answer cost.
        indices: (num_samples,) int64, ascending: the samples shown.
    """

    iteration: int
    step: int
    interaction: int
    kind: Kind
    answer: Answer
    label: int | None
    purity: float | None
    wrong: int | None
    seconds: float
    indices: Indices

    @property
    def num_samples(self) -> int:
        """How many samples were shown."""
        return len(self.indices)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSnapshot:
    """The partition at one moment.

    Attributes:
        status: (P,) int8, `pool.UNLABELED`, `LABELED`, `CLUSTER_LABELED`, `PSEUDO_LABELED` or `KEPT`.
        labels: (P,) int32, the label given, -1 where there is none.
        purity: (P,) float32, that of the cluster a label was given to; 1 where it is not known or there is none. None:
            1 everywhere.
    """

    status: npt.NDArray[np.int8]
    labels: npt.NDArray[np.int32]
    purity: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The trained model on the test split: share of right answers, mean cross-entropy in nats.

    Attributes:
        chance: The highest accuracy that cannot be told from guessing; None when it is not known.
    """

    accuracy: float
    loss: float
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a training did.

    The two losses are means over as many steps each: those of one pass over the samples, or half of all steps where
    the training took less than two passes. Of a training of one step they are the same.

    Attributes:
        steps: The optimizer steps it took; 0 when nothing was annotated.
        first_loss: The mean training loss of its first steps; None without any.
        last_loss: The mean training loss of its last steps; None without any.
    """

    steps: int
    first_loss: float | None = None
    last_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLabels:
    """The labels of clusters that are kept from earlier iterations, as they are at the end of an iteration.

    Attributes:
        count: How many samples have one.
        error: Share of them that are wrong; None without any or when it is not known.
    """

    count: int
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSeconds:
    """Wall seconds of the phases of one iteration.

    Attributes:
        predict: Passes over D^U, and all that the acquisition function does, further members of an ensemble included,
            and pseudo-labels.
    """

    predict: float
    cluster: float
    train: float
    evaluate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationResult:
    """One finished iteration; with the model, all that is needed to go on from here.

    Attributes:
        interactions: Human interactions of all iterations up to and including this one.
        human_seconds: Their cost.
        ledger: The interactions of this iteration.
        pool: The partition the model was trained on, before D^CL and the pseudo-labelled go back to D^U.
        pseudo_label_error: Share of wrong labels among the pseudo-labels; None without any or when it is not known.
        kept_labels: None in an experiment that does not keep the labels of clusters.
        fitted: The training of the model that was evaluated, not those between the steps of a scenario or of further
            members of an ensemble; None when the learner does not say.
    """

    iteration: int
    interactions: int
    human_seconds: float
    ledger: tuple[Interaction, ...]
    pool: PoolSnapshot
    evaluation: Evaluation
    seconds: PhaseSeconds
    pseudo_label_error: float | None = None
    kept_labels: KeptLabels | None = None
    fitted: Fitted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """Where a stopped experiment goes on: what the last whole iteration left behind."""

    iteration: int
    interactions: int
    human_seconds: float
    pool: PoolSnapshot
