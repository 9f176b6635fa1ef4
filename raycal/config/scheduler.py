"""The scheduler of a sweep, which stops trials early if others do better."""

import json
from collections.abc import Iterable
from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import BeforeValidator

from raycal.config.experiment import ExperimentConfig
from raycal.config.strict import Strict


class SchedulerConfig(Strict):
    """ASHA: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".

    Attributes:
        grace_iterations: Number of iterations before which no trial is stopped.
        reduction_factor: At each rung, one of this many trials continues.
    """

    name: Literal["asha"]
    grace_iterations: Annotated[int, Ge(2)] = 2
    reduction_factor: Annotated[int, Ge(2)] = 3


GivenScheduler = Annotated[
    SchedulerConfig | None, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
]


def incomparable(experiments: Iterable[ExperimentConfig]) -> str | None:
    """The reason why accuracies of these experiments at the same iteration are not comparable; None if the accuracies
    are comparable.
    """
    # An experiment of one iteration over the whole pool is too short to be stopped.
    stoppable = [config for config in experiments if not config.resolved_scenario.whole_pool]
    datasets = {json.dumps(config.dataset.model_dump(mode="json"), sort_keys=True) for config in stoppable}
    budgets = sorted({config.interactions_per_iteration for config in stoppable})
    problem = "trials are compared at the same iteration and need the same"
    if len(datasets) > 1:
        return f"{problem} dataset with the same options, not {len(datasets)} different ones"
    if len(budgets) > 1:
        return f"{problem} interactions_per_iteration, not {', '.join(map(str, budgets))}"
    return None
