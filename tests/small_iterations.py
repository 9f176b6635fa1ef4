"""Makes experiments, interactions and iterations by hand, for tests."""

from dataclasses import replace
from typing import Any

import numpy as np

from raycal.algorithm.records import (
    Answer,
    Evaluation,
    Interaction,
    IterationResult,
    Kind,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.config import ExperimentConfig
from raycal.experiment import build

CONFIG = ExperimentConfig.model_validate(
    {"dataset": "digits", "scenario": "random", "model": {"weights": "none"}}, context=build.REGISTRIES
)
NUM_SAMPLES = 8


def experiment(**settings: Any) -> ExperimentConfig:
    given = {"dataset": "digits", "scenario": "random", **settings}
    return ExperimentConfig.model_validate(given, context=build.REGISTRIES)


def sample(interaction: int = 1, **changes: Any) -> Interaction:
    """An image that gets a label; `changes` replaces any of the values."""
    labeled = Interaction(
        iteration=0,
        step=0,
        interaction=interaction,
        kind=Kind.SAMPLE,
        answer=Answer.LABELED,
        label=3,
        purity=None,
        wrong=0,
        seconds=4.25,
        indices=np.array([7], np.int64),
    )
    return replace(labeled, **changes)


def refused(interaction: int = 2, **changes: Any) -> Interaction:
    """A cluster that is refused; `changes` replaces any of the values."""
    cluster = Interaction(
        iteration=0,
        step=1,
        interaction=interaction,
        kind=Kind.CLUSTER,
        answer=Answer.REFUSED,
        label=None,
        purity=0.5,
        wrong=None,
        seconds=4.25,
        indices=np.array([1, 2, 5, 9], np.int64),
    )
    return replace(cluster, **changes)


def one_iteration() -> IterationResult:
    row = sample(label=0, seconds=1.0, indices=np.array([0], np.int64))
    return IterationResult(
        iteration=0,
        interactions=1,
        human_seconds=1.0,
        ledger=(row,),
        pool=PoolSnapshot(status=np.ones(1, np.int8), labels=np.zeros(1, np.int32)),
        evaluation=Evaluation(accuracy=0.5, loss=1.0),
        seconds=PhaseSeconds(predict=0, cluster=0, train=0, evaluate=0),
    )


def result(iteration: int, *, accuracy: float | None = None) -> IterationResult:
    """An iteration that labels sample `iteration` as its class; earlier samples are labeled, later ones are not."""
    labels = np.full(NUM_SAMPLES, -1, np.int32)
    labels[: iteration + 1] = np.arange(iteration + 1)[:NUM_SAMPLES]
    row = sample(iteration + 1, iteration=iteration, label=iteration % 10, indices=np.array([iteration], np.int64))
    return IterationResult(
        iteration=iteration,
        interactions=iteration + 1,
        human_seconds=4.25 * (iteration + 1),
        ledger=(row,),
        pool=PoolSnapshot(
            status=(labels >= 0).astype(np.int8),
            labels=labels,
            purity=np.where(np.arange(len(labels)) == 0, 0.75, 1).astype(np.float32),
        ),
        evaluation=Evaluation(accuracy=iteration / 10 if accuracy is None else accuracy, loss=2.0),
        seconds=PhaseSeconds(predict=0.0, cluster=0.0, train=1.0, evaluate=0.5),
    )


def model(iteration: int) -> bytes:
    return f"model of iteration {iteration}".encode() * 3
