import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from raycal.algorithm.pool import CLUSTER_LABELED, KEPT, LABELED, PSEUDO_LABELED, UNLABELED
from raycal.algorithm.records import (
    Answer,
    Evaluation,
    Fitted,
    Interaction,
    IterationResult,
    KeptLabels,
    Kind,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.storage import results
from raycal.storage.results import SECONDS, area_under_budget_curve, iteration_record

# The contract: readers outside this package, MLflow among them, rely on these names and their order.
KEYS = [
    "iteration",
    "interactions",
    "test_accuracy",
    "test_loss",
    "unlabeled",
    "labeled",
    "cluster_labeled",
    "annotated",
    "clusters_shown",
    "clusters_accepted",
    "cluster_label_error",
    "mean_cluster_purity",
    "pseudo_labeled",
    "pseudo_label_error",
    "human_seconds",
    "predict_seconds",
    "cluster_seconds",
    "train_seconds",
    "evaluate_seconds",
    "optimizer_steps",
    "first_train_loss",
    "train_loss",
    "chance_accuracy",
]


def sample(label: int = 0) -> Interaction:
    return Interaction(
        iteration=2,
        step=0,
        interaction=1,
        kind=Kind.SAMPLE,
        answer=Answer.LABELED,
        label=label,
        purity=None,
        wrong=0,
        seconds=1.0,
        indices=np.array([0], np.int64),
    )


def cluster(num_samples: int, *, purity: float | None, wrong: int | None, accepted: bool) -> Interaction:
    return Interaction(
        iteration=2,
        step=1,
        interaction=2,
        kind=Kind.CLUSTER,
        answer=Answer.LABELED if accepted else Answer.REFUSED,
        label=1 if accepted else None,
        purity=purity,
        wrong=wrong,
        seconds=1.0,
        indices=np.arange(num_samples),
    )


def line(
    *ledger: Interaction,
    status: Sequence[int] = (UNLABELED,),
    pseudo_label_error: float | None = None,
    kept_labels: KeptLabels | None = None,
    fitted: Fitted | None = None,
) -> dict[str, Any]:
    pool = PoolSnapshot(
        status=np.array(status, np.int8), labels=np.where(np.array(status) == UNLABELED, -1, 0).astype(np.int32)
    )
    return iteration_record(
        IterationResult(
            iteration=2,
            interactions=40,
            human_seconds=168.0,
            ledger=ledger,
            pool=pool,
            evaluation=Evaluation(accuracy=0.75, loss=0.5, chance=0.25),
            seconds=PhaseSeconds(predict=1.5, cluster=2.5, train=3.5, evaluate=4.5),
            pseudo_label_error=pseudo_label_error,
            kept_labels=kept_labels,
            fitted=fitted,
        )
    )


def test_keys_are_the_contract_in_its_order() -> None:
    assert list(line(sample())) == KEYS == list(results.KEYS)
    assert [key for key in KEYS if key.endswith("_seconds") and key != "human_seconds"] == list(SECONDS)


def test_kept_labels_are_of_clusters_and_counted_apart_from_this_iteration_s() -> None:
    status = [LABELED] * 3 + [CLUSTER_LABELED] * 10 + [KEPT] * 5 + [UNLABELED] * 2
    accepted = cluster(10, purity=0.9, wrong=1, accepted=True)
    figures = line(accepted, status=status, kept_labels=KeptLabels(count=5, error=0.4))

    assert set(figures) == {*KEYS, "kept_labels", "kept_label_error"}
    assert (figures["unlabeled"], figures["labeled"], figures["cluster_labeled"], figures["annotated"]) == (
        2,
        3,
        15,
        18,
    )
    assert (figures["kept_labels"], figures["kept_label_error"], figures["cluster_label_error"]) == (5, 0.4, 0.1)


def test_figures_of_an_iteration() -> None:
    ledger = (
        sample(),
        cluster(6, purity=1.0, wrong=0, accepted=True),
        cluster(4, purity=0.75, wrong=1, accepted=True),
        cluster(4, purity=0.5, wrong=None, accepted=False),
    )
    status = [LABELED] * 3 + [CLUSTER_LABELED] * 10 + [PSEUDO_LABELED] * 2 + [UNLABELED] * 7

    fitted = Fitted(steps=12, first_loss=2.5, last_loss=0.25)

    assert line(*ledger, status=status, pseudo_label_error=0.5, fitted=fitted) == {
        "iteration": 2,
        "interactions": 40,
        "test_accuracy": 0.75,
        "test_loss": 0.5,
        "unlabeled": 7,
        "labeled": 3,
        "cluster_labeled": 10,
        "annotated": 13,
        "clusters_shown": 3,
        "clusters_accepted": 2,
        "cluster_label_error": 0.1,
        "mean_cluster_purity": 0.75,
        "pseudo_labeled": 2,
        "pseudo_label_error": 0.5,
        "human_seconds": 168.0,
        "predict_seconds": 1.5,
        "cluster_seconds": 2.5,
        "train_seconds": 3.5,
        "evaluate_seconds": 4.5,
        "optimizer_steps": 12,
        "first_train_loss": 2.5,
        "train_loss": 0.25,
        "chance_accuracy": 0.25,
    }


@pytest.mark.parametrize(
    ("ledger", "error", "purity"),
    [
        ((), None, None),
        ((sample(),), None, None),
        ((cluster(4, purity=0.5, wrong=None, accepted=False),), None, 0.5),
        ((cluster(4, purity=1.0, wrong=0, accepted=True),), 0.0, 1.0),
        ((cluster(4, purity=None, wrong=None, accepted=True),), None, None),
    ],
    ids=["nothing", "samples alone", "all refused", "no error", "person who knows no truth"],
)
def test_undefined_figures_are_null(ledger: tuple[Interaction, ...], error: float | None, purity: float | None) -> None:
    figures = line(*ledger)

    assert (figures["cluster_label_error"], figures["mean_cluster_purity"]) == (error, purity)


def test_label_error_counts_only_clusters_whose_errors_are_known() -> None:
    known = cluster(4, purity=0.75, wrong=1, accepted=True)
    unknown = cluster(4, purity=None, wrong=None, accepted=True)

    assert line(known, unknown)["cluster_label_error"] == 0.25


def test_line_is_plain_json() -> None:
    figures = line(sample(), status=[LABELED, UNLABELED])

    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert {type(value) for value in figures.values()} <= {int, float, type(None)}


def curve(*points: tuple[int, float | None]) -> list[dict[str, Any]]:
    return [{"interactions": interactions, "test_accuracy": accuracy} for interactions, accuracy in points]


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([(10, 0.5), (20, 0.5), (100, 0.5)], 0.5),
        ([(0, 0.0), (10, 1.0)], 0.5),
        # The mean accuracy is 0.3 over the first 10 interactions, and 0.6 over the other 30.
        ([(10, 0.2), (20, 0.4), (50, 0.8)], (10 * 0.3 + 30 * 0.6) / 40),
        ([(50, 0.75)], 0.75),
        ([(50, 0.25), (50, 0.75)], 0.75),
        ([], None),
        ([(10, None)], None),
        ([(10, 0.2), (20, None), (30, 0.6)], 0.4),
    ],
    ids=["level", "rising", "uneven steps", "one line", "nothing spent", "no line", "no accuracy", "gap"],
)
def test_area_under_the_budget_curve(points: list[tuple[int, float | None]], area: float | None) -> None:
    found = area_under_budget_curve(curve(*points))

    assert found == (None if area is None else pytest.approx(area))
