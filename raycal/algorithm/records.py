"""The frozen records that the components of an experiment exchange; they have no behavior beyond simple accessors."""

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
    """Predictions of the query model for D^U and, in a step that may ask about them, for the samples with a kept label.

    Attributes:
        indices: (U,) int64, ascending.
        probs: (U, K) float32; each row sums to one.
        embeddings: (U, D) float32, the inputs of the network's head, not normalized.
        separate: (U, F) float32, embeddings by a separate feature model. None if there is no such model.
    """

    indices: Indices
    probs: Floats
    embeddings: Floats
    separate: Floats | None = None

    @property
    def features(self) -> Floats:
        """(U, D) or (U, F) float32, in which similar samples are near each other.

        They come from the separate feature model if there is one; otherwise they are the embeddings.
        """
        return self.embeddings if self.separate is None else self.separate

    def restrict(self, indices: Indices) -> Self:
        """The predictions for some of the samples; `indices` must be ascending and a subset of `self.indices`."""
        if len(indices) == len(self.indices):
            return self
        rows = np.searchsorted(self.indices, indices)
        separate = None if self.separate is None else self.separate[rows]
        return type(self)(indices=indices, probs=self.probs[rows], embeddings=self.embeddings[rows], separate=separate)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """D^L and D^CL with the labels that the expert gave, and the pseudo-labeled samples.

    Attributes:
        indices: (M,) int64, ascending.
        labels: (M,) int64, the labels that were given, which may differ from the true ones.
        weights: (M,) float32 above 0, the weight of each sample's loss. None means equal weights.
    """

    indices: Indices
    labels: Labels
    weights: Floats | None = None


class Kind(StrEnum):
    """Says what the expert was shown."""

    SAMPLE = "sample"
    CLUSTER = "cluster"


class Answer(StrEnum):
    """Whether the expert labeled or refused what it was shown."""

    LABELED = "labelled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One human interaction: one row of the ledger.

    Attributes:
        iteration: Number of the iteration, from 0.
        step: Number of the annotation step in the scenario, from 0.
        interaction: Number of interactions spent in the experiment up to and including this one, from 1.
        kind: A single sample or a cluster.
        answer: Whether the expert gave a label.
        label: The label that the expert gave. None when it refused.
        purity: Share of the modal class in the cluster. None for a sample, or if the purity is not known.
        wrong: Number of samples whose new label is wrong. None if the expert refused, or if the number is not known.
        seconds: Cost of the answer, in seconds of human time.
        indices: (num_samples,) int64, ascending, the samples that the answer applies to.
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
        """Number of samples that the answer applies to."""
        return len(self.indices)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSnapshot:
    """The partition of the pool at one moment.

    Attributes:
        status: (P,) int8, `pool.UNLABELED`, `LABELED`, `CLUSTER_LABELED`, `PSEUDO_LABELED` or `KEPT`.
        labels: (P,) int32, the label that was given; -1 for a sample without a label.
        purity: (P,) float32, the purity of the cluster with which a sample was labeled, or the probability that
            `Pool.weigh` has set. It is 1 where it is not known or the sample was not labeled with a cluster. None means
            that all these values are 1.
    """

    status: npt.NDArray[np.int8]
    labels: npt.NDArray[np.int32]
    purity: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Evaluation of the trained model on the test split.

    Attributes:
        accuracy: Share of the test images that are classified correctly.
        loss: Mean cross-entropy in nats.
        chance: The highest accuracy that cannot be distinguished from guessing. None if this accuracy is not known.
    """

    accuracy: float
    loss: float
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Length and losses of a training.

    The two losses are means over the same number of steps: one pass over the samples, or half of all steps if the
    training took less than two passes. They are equal for a training of one step.

    Attributes:
        steps: Number of optimizer steps, 0 when nothing was annotated.
        first_loss: Mean training loss over the first steps. None if there were no steps.
        last_loss: Mean training loss over the last steps. None if there were no steps.
    """

    steps: int
    first_loss: float | None = None
    last_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLabels:
    """Statistics, at the end of an iteration, of the labels that clusters got in earlier iterations and that were kept.

    Attributes:
        count: Number of samples with a kept label.
        error: Share of the kept labels that are wrong. None if no label is kept, or if the share is not known.
    """

    count: int
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSeconds:
    """Wall-clock seconds of the phases of one iteration.

    Attributes:
        predict: Forward passes over D^U, the acquisition function (which includes training the further members of an
            ensemble), and pseudo-labels.
    """

    predict: float
    cluster: float
    train: float
    evaluate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationResult:
    """One finished iteration. Together with the model, this record is all that is needed to continue the experiment.

    Attributes:
        interactions: Number of human interactions in all iterations up to and including this one.
        human_seconds: Cost of these interactions, in seconds of human time.
        ledger: The interactions of this iteration.
        pool: The partition that the model was trained on, before D^CL and the pseudo-labeled samples go back to D^U.
        pseudo_label_error: Share of the pseudo-labels that are wrong. None if there are no pseudo-labels, or if the
            share is not known.
        kept_labels: Statistics of the kept labels. None in an experiment without `keep_cluster_labels`.
        fitted: The training of the model that was evaluated. It does not describe the trainings between the steps of a
            scenario and the trainings of further ensemble members. None if the learner does not report its training.
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
    """The state at the end of the last completed iteration, from which a stopped experiment continues."""

    iteration: int
    interactions: int
    human_seconds: float
    pool: PoolSnapshot
