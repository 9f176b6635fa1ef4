"""The lines of results.jsonl, one per iteration, which hold the values that all readers of a run use."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Literal, NotRequired, TypedDict, get_args

from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, PSEUDO_LABELED, STATUSES, UNLABELED
from raycal.algorithm.records import Answer, IterationResult, Kind

# The objective that a search maximizes, by the name under which a trial reports it.
OBJECTIVE = "area_under_budget_curve"
Phase = Literal["predict_seconds", "cluster_seconds", "train_seconds", "evaluate_seconds"]
SECONDS: tuple[Phase, ...] = get_args(Phase)


class _KeptLabels(TypedDict, total=False):
    """The values that only an experiment with `keep_cluster_labels` reports.

    Attributes:
        kept_labels: The number of labels of clusters from earlier iterations.
        kept_label_error: The fraction of these labels that are wrong.
    """

    kept_labels: int
    kept_label_error: float | None


class IterationRecord(_KeptLabels):
    """One line of results.jsonl: the values of an iteration by their public names; an undefined value is None.

    At run time the record is the parsed line itself. A line that another version of raycal wrote may have more keys,
    which are kept, and may lack keys that are not required.

    Attributes:
        iteration: The iteration, from 0.
        interactions: The human interactions up to this iteration.
        cluster_labeled: The number of samples with the label of a cluster, from this or an earlier iteration.
        clusters_shown: The number of clusters shown in this iteration.
        clusters_accepted: The number of these clusters that the expert labeled.
        cluster_label_error: The fraction of wrong labels among the labels that these clusters gave.
        human_seconds: The time that the interactions up to this iteration took, which is the sum of the ledger's
            seconds. If people label, this does not include the time for the hold-out, second opinions and late answers.
        optimizer_steps: The number of optimizer steps of the training whose model was evaluated.
    """

    iteration: int
    interactions: int
    test_accuracy: float
    test_loss: float
    unlabeled: int
    labeled: int
    cluster_labeled: int
    annotated: int
    clusters_shown: int
    clusters_accepted: int
    cluster_label_error: float | None
    mean_cluster_purity: float | None
    pseudo_labeled: NotRequired[int]
    pseudo_label_error: NotRequired[float | None]
    human_seconds: float
    predict_seconds: float
    cluster_seconds: float
    train_seconds: float
    evaluate_seconds: float
    optimizer_steps: NotRequired[int | None]
    first_train_loss: NotRequired[float | None]
    train_loss: NotRequired[float | None]
    chance_accuracy: NotRequired[float | None]


class TimedRecord(IterationRecord):
    """A record in the form in which a trial on Ray reports it.

    Attributes:
        started: The Unix time at which Algorithm 1 began or continued in the trial; None means that it never began.
    """

    started: NotRequired[float | None]


# The keys that this version writes in every line, in their order; the keys for kept labels come before `human_seconds`.
KEYS = tuple(key for key in IterationRecord.__annotations__ if key not in _KeptLabels.__annotations__)


def iteration_record(result: IterationResult) -> IterationRecord:
    """The line of results.jsonl for a finished iteration."""
    fitted, kept = result.fitted, result.kept_labels
    shown = [row for row in result.ledger if row.kind is Kind.CLUSTER]
    accepted = [row for row in shown if row.answer is Answer.LABELED]
    count = {status: int((result.pool.status == status).sum()) for status in STATUSES}
    cluster_labeled = count[CLUSTER_LABELED] + count[KEPT]
    judged = [row for row in accepted if row.wrong is not None]
    purities = [row.purity for row in shown if row.purity is not None]
    kept_labels: _KeptLabels = {} if kept is None else {"kept_labels": kept.count, "kept_label_error": kept.error}
    return {
        "iteration": result.iteration,
        "interactions": result.interactions,
        "test_accuracy": result.evaluation.accuracy,
        "test_loss": result.evaluation.loss,
        "unlabeled": count[UNLABELED],
        "labeled": count[LABELED],
        "cluster_labeled": cluster_labeled,
        "annotated": count[LABELED] + cluster_labeled,
        "clusters_shown": len(shown),
        "clusters_accepted": len(accepted),
        "cluster_label_error": sum(row.wrong or 0 for row in judged) / sum(row.num_samples for row in judged)
        if judged
        else None,
        "mean_cluster_purity": sum(purities) / len(purities) if purities else None,
        "pseudo_labeled": count[PSEUDO_LABELED],
        "pseudo_label_error": result.pseudo_label_error,
        **kept_labels,
        "human_seconds": result.human_seconds,
        "predict_seconds": result.seconds.predict,
        "cluster_seconds": result.seconds.cluster,
        "train_seconds": result.seconds.train,
        "evaluate_seconds": result.seconds.evaluate,
        "optimizer_steps": fitted.steps if fitted else None,
        "first_train_loss": fitted.first_loss if fitted else None,
        "train_loss": fitted.last_loss if fitted else None,
        "chance_accuracy": result.evaluation.chance,
    }


def last_defined(lines: Iterable[Mapping[str, Any]], key: str) -> Any:
    """The value at the end of a run, taken from the last line that has such a value. None if no line has one.

    The cluster label error, for example, is undefined in an iteration in which no cluster was accepted.
    """
    return next((line[key] for line in reversed(list(lines)) if line[key] is not None), None)


def is_at_chance(line: IterationRecord) -> bool:
    """Whether the test accuracy is no better than guessing. False if the level of guessing is not known."""
    chance, accuracy = line.get("chance_accuracy"), line["test_accuracy"]
    return chance is not None and accuracy is not None and accuracy <= chance


def loss_has_not_fallen(line: IterationRecord) -> bool:
    """Whether a training of several steps ended with a loss that is not lower than at its start. False if the losses
    are not known."""
    steps, first, last = line.get("optimizer_steps"), line.get("first_train_loss"), line.get("train_loss")
    return steps is not None and first is not None and last is not None and steps > 1 and last >= first


def area_under_budget_curve(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """Mean test accuracy over the interactions spent, from the first line of a run to its last; None if there is no
    line.

    This mean is the area under accuracy against interactions by the trapezoid rule, divided by the span of
    interactions. For a single line it is the line's accuracy. It is the AUBC of Zhan, Liu, Li, Chan, "A Comparative
    Survey: Benchmarking for Pool-based Active Learning" (IJCAI 2021).
    """
    points = [(line["interactions"], line["test_accuracy"]) for line in lines if line["test_accuracy"] is not None]
    if not points:
        return None
    span = points[-1][0] - points[0][0]
    if span == 0:
        return float(points[-1][1])
    area = sum((end - begin) * (first + last) / 2 for (begin, first), (end, last) in pairwise(points))
    return float(area / span)
