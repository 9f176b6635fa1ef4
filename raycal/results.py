"""One finished iteration as a line of results.jsonl: the figures every reader of a run works from."""

from typing import Any

from raycal.algorithm.pool import CLUSTER_LABELED, LABELED, UNLABELED
from raycal.algorithm.records import Answer, IterationResult, Kind

SECONDS = ("predict_seconds", "cluster_seconds", "train_seconds", "evaluate_seconds")


def results_line(result: IterationResult) -> dict[str, Any]:
    """The figures of an iteration by their public names; an undefined one is None."""
    shown = [row for row in result.ledger if row.kind is Kind.CLUSTER]
    accepted = [row for row in shown if row.answer is Answer.LABELLED]
    count = {status: int((result.pool.status == status).sum()) for status in (UNLABELED, LABELED, CLUSTER_LABELED)}
    judged = [row for row in accepted if row.wrong is not None]
    purities = [row.purity for row in shown if row.purity is not None]
    return {
        "iteration": result.iteration,
        "interactions": result.interactions,
        "test_accuracy": result.evaluation.accuracy,
        "test_loss": result.evaluation.loss,
        "unlabeled": count[UNLABELED],
        "labeled": count[LABELED],
        "cluster_labeled": count[CLUSTER_LABELED],
        "annotated": count[LABELED] + count[CLUSTER_LABELED],
        "clusters_shown": len(shown),
        "clusters_accepted": len(accepted),
        "cluster_label_error": sum(row.wrong or 0 for row in judged) / sum(row.num_samples for row in judged)
        if judged
        else None,
        "mean_cluster_purity": sum(purities) / len(purities) if purities else None,
        "human_seconds": result.human_seconds,
        "predict_seconds": result.seconds.predict,
        "cluster_seconds": result.seconds.cluster,
        "train_seconds": result.seconds.train,
        "evaluate_seconds": result.seconds.evaluate,
    }
