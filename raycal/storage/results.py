"""Turns a finished iteration into a line of results.jsonl, which holds the values that all readers of a run use."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, PSEUDO_LABELED, STATUSES, UNLABELED
from raycal.algorithm.records import Answer, IterationResult, Kind

# The objective that a search maximizes, by the name under which a trial reports it.
OBJECTIVE = "area_under_budget_curve"
# The keys of every line, in their order; an experiment that keeps the labels of clusters has two more.
KEYS = (
    *("iteration", "interactions", "test_accuracy", "test_loss"),
    *("unlabeled", "labeled", "cluster_labeled", "annotated"),
    *("clusters_shown", "clusters_accepted", "cluster_label_error", "mean_cluster_purity"),
    *("pseudo_labeled", "pseudo_label_error", "human_seconds"),
    *("predict_seconds", "cluster_seconds", "train_seconds", "evaluate_seconds"),
    *("optimizer_steps", "first_train_loss", "train_loss", "chance_accuracy"),
)
SECONDS = ("predict_seconds", "cluster_seconds", "train_seconds", "evaluate_seconds")


def results_line(result: IterationResult) -> dict[str, Any]:
    """The values of an iteration by their public names; an undefined value is None.

    The counts of clusters shown and accepted, and their label errors, are those of this iteration. `cluster_labeled`
    counts every sample that has the label of a cluster. An experiment that keeps such labels also reports how many of
    them are from earlier iterations (`kept_labels`), and the fraction of wrong ones among them (`kept_label_error`).
    The lines of earlier versions end with `evaluate_seconds`, so a reader must do without the keys after it.
    """
    fitted = result.fitted
    shown = [row for row in result.ledger if row.kind is Kind.CLUSTER]
    accepted = [row for row in shown if row.answer is Answer.LABELED]
    count = {status: int((result.pool.status == status).sum()) for status in STATUSES}
    cluster_labeled = count[CLUSTER_LABELED] + count[KEPT]
    kept = result.kept_labels
    judged = [row for row in accepted if row.wrong is not None]
    purities = [row.purity for row in shown if row.purity is not None]
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
        **({} if kept is None else {"kept_labels": kept.count, "kept_label_error": kept.error}),
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
    """The value at the end of a run: that of the last line that has one; None when no line has one.

    The cluster label error, for example, is undefined in an iteration in which no cluster was accepted.
    """
    return next((line[key] for line in reversed(list(lines)) if line[key] is not None), None)


def is_at_chance(line: Mapping[str, Any]) -> bool:
    """Whether the test accuracy is no better than guessing; False where that is not known."""
    chance, accuracy = line.get("chance_accuracy"), line["test_accuracy"]
    return chance is not None and accuracy is not None and accuracy <= chance


def loss_has_not_fallen(line: Mapping[str, Any]) -> bool:
    """Whether a training of several steps ended with no lower loss than at its start; False where that is unknown."""
    first, last = line.get("first_train_loss"), line.get("train_loss")
    return first is not None and last is not None and line["optimizer_steps"] > 1 and last >= first


def area_under_budget_curve(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """Mean test accuracy over the interactions spent, from the first line of a run to its last; None without a line.

    It is the area under accuracy against interactions by the trapezoid rule, divided by the span of interactions; for
    a single line it is the line's accuracy. It is the AUBC of Zhan, Liu, Li, Chan, "A Comparative Survey: Benchmarking
    for Pool-based Active Learning" (IJCAI 2021).
    """
    points = [(line["interactions"], line["test_accuracy"]) for line in lines if line["test_accuracy"] is not None]
    if not points:
        return None
    span = points[-1][0] - points[0][0]
    if span == 0:
        return float(points[-1][1])
    area = sum((end - begin) * (first + last) / 2 for (begin, first), (end, last) in pairwise(points))
    return float(area / span)
