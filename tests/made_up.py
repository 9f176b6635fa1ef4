"""Makes trials from given points, as if a sweep had run."""

from collections.abc import Mapping, Sequence
from typing import Any

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.report.runs import Runs, Trial
from raycal.storage.run_dir import Outcome

Points = Sequence[tuple[float, float | None]]


def lines(points: Points, **values: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """Lines of results.jsonl with these pairs of interactions and accuracy. Each interaction annotates ten images and
    takes one hour."""
    return tuple(
        {
            "iteration": iteration,
            "interactions": interactions,
            "test_accuracy": accuracy,
            "annotated": 10 * interactions,
            "clusters_shown": 0,
            "cluster_label_error": None,
            "human_seconds": 3600.0 * interactions,
        }
        | {key: column[iteration] for key, column in values.items()}
        for iteration, (interactions, accuracy) in enumerate(points)
    )


def config(scenario: Any = "random", *, seed: int = 0, **settings: Any) -> ExperimentConfig:
    given = {"dataset": "digits", "scenario": scenario, "seed": seed, **settings}
    return ExperimentConfig.model_validate(given, context=build.REGISTRIES)


def trial(
    scenario: str = "random",
    points: Points = (),
    *,
    seed: int = 0,
    status: Outcome = "finished",
    reason: str = "",
    values: Mapping[str, Sequence[Any]] | None = None,
    **settings: Any,
) -> Trial:
    experiment = config(scenario, seed=seed, **settings)
    return Trial(
        experiment_id=experiment.experiment_id,
        config=experiment,
        scenario=experiment.resolved_scenario.name,
        status=status,
        reason=reason,
        lines=lines(points, **(values or {})),
        folder="",
    )


def seeds(scenario: str, *curves: Points, **settings: Any) -> list[Trial]:
    """A finished trial of each seed from 0."""
    return [trial(scenario, points, seed=seed, **settings) for seed, points in enumerate(curves)]


def level(*accuracies: float) -> list[Points]:
    """Curves over 10 to 20 interactions that stay at an accuracy, one per seed."""
    return [[(10, accuracy), (20, accuracy)] for accuracy in accuracies]


def runs(*trials: Trial) -> Runs:
    return Runs(name="made-up", trials=trials)
