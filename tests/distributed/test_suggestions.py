from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from raycal.config import ExperimentConfig, SearchConfig
from raycal.distributed.suggestions import Suggestions
from raycal.errors import InputError
from raycal.storage.results import OBJECTIVE

CHOICES = [0.0, 0.25, 0.5, 0.75]
KEY = "expert.purity_threshold"


def config_of(values: Mapping[str, Any]) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"dataset": "digits", "scenario": "cluster-only", "expert": {"purity_threshold": values[KEY]}}
    )


class Scene:
    """A search over a few values, the experiments that it planned, and Optuna's own record of the search."""

    def __init__(self, *known: float, outcomes: Mapping[float, float | None] | None = None, **space: Any) -> None:
        configs = {value: config_of({KEY: value}) for value in known}
        self.planned: list[ExperimentConfig] = []
        self.suggestions = Suggestions(
            SearchConfig.model_validate(
                {"algorithm": "optuna", "num_samples": 8, "space": space or {KEY: {"choice": CHOICES}}}
            ),
            {config.experiment_id: config for config in configs.values()},
            {configs[value].experiment_id: outcome for value, outcome in (outcomes or {}).items()},
            config_of,
            self.planned.append,
        )

    def threshold(self, trial_id: str) -> float:
        """The purity threshold of the next trial."""
        suggestion = self.suggestions.suggest(trial_id)
        config = ExperimentConfig.model_validate(suggestion["settings"])
        assert suggestion["experiment_id"] == config.experiment_id
        return float(config.expert.options["purity_threshold"])

    def record(self) -> list[tuple[float, TrialState, float | None]]:
        """The threshold, state and value of each of Optuna's trials."""
        study: optuna.Study = self.suggestions._optuna._ot_study
        return [
            (trial.params[KEY], trial.state, trial.values[0] if trial.values else None)
            for trial in study.get_trials(deepcopy=False)
            if trial.state is not TrialState.RUNNING
        ]


def test_known_outcomes_are_told_and_a_failure_as_one() -> None:
    scene = Scene(0.25, 0.5, outcomes={0.25: 0.8, 0.5: None})
    assert scene.record() == [(0.25, TrialState.COMPLETE, 0.8), (0.5, TrialState.FAIL, None)]
    assert scene.planned == []


def test_unfinished_experiments_come_first_and_are_not_planned_again() -> None:
    scene = Scene(0.25, 0.5, 0.75, outcomes={0.5: 0.8})
    assert [scene.threshold("a"), scene.threshold("b")] == [0.25, 0.75]
    assert scene.planned == []

    scene.suggestions.on_trial_complete("a", {OBJECTIVE: 0.6, "ended": True})
    assert (0.25, TrialState.COMPLETE, 0.6) in scene.record()
    assert scene.threshold("c") == 0.0
    assert [config.expert.options["purity_threshold"] for config in scene.planned] == [0.0]


def test_experiment_is_planned_before_it_starts() -> None:
    scene = Scene()
    threshold = scene.threshold("a")
    assert [config.expert.options["purity_threshold"] for config in scene.planned] == [threshold]


def test_no_experiment_comes_twice_and_an_exhausted_space_ends_the_search() -> None:
    scene = Scene()
    seen = []
    for number in range(len(CHOICES)):
        seen.append(scene.threshold(f"t{number}"))
        scene.suggestions.on_trial_complete(f"t{number}", {OBJECTIVE: 0.5, "ended": True})
    assert sorted(seen) == CHOICES
    assert scene.suggestions.suggest("one more") == Searcher.FINISHED
    assert len(scene.planned) == len(CHOICES)


def test_repeat_of_a_finished_experiment_tells_its_outcome_again() -> None:
    scene = Scene(*CHOICES, outcomes=dict.fromkeys(CHOICES, 0.7))
    assert scene.suggestions.suggest("a") == Searcher.FINISHED
    assert {state for _, state, _ in scene.record()} == {TrialState.COMPLETE}


@pytest.mark.parametrize(
    ("result", "error"),
    [(None, True), ({"ended": True, "error": "its worker died 4 times"}, False), ({"ended": True}, False)],
    ids=["on Ray", "told by the worker", "before its first iteration"],
)
def test_failed_trial_counts_as_failed(result: dict[str, Any] | None, error: bool) -> None:
    scene = Scene()
    threshold = scene.threshold("a")
    scene.suggestions.on_trial_complete("a", result, error)
    assert scene.record() == [(threshold, TrialState.FAIL, None)]


def test_trial_that_was_stopped_early_is_pruned_and_counts_by_its_iterations() -> None:
    scene = Scene()
    threshold = scene.threshold("a")
    result = {OBJECTIVE: 0.3, "training_iteration": 2}
    scene.suggestions.on_trial_result("a", result)
    scene.suggestions.on_trial_complete("a", result)
    assert [(found, state) for found, state, _ in scene.record()] == [(threshold, TrialState.PRUNED)]
    trial = scene.suggestions._optuna._ot_study.get_trials()[0]
    assert trial.intermediate_values == {2: 0.3}


def test_values_that_are_not_accepted_together_are_passed_over() -> None:
    def refuse_half(values: Mapping[str, Any]) -> ExperimentConfig:
        if values[KEY] == 0.5:
            raise InputError("not with the others")
        return config_of(values)

    scene = Scene()
    scene.suggestions._experiment_of = refuse_half
    found = [scene.threshold(f"t{number}") for number in range(3)]
    assert sorted(found) == [0.0, 0.25, 0.75]
    assert scene.suggestions.suggest("one more") == Searcher.FINISHED


def test_floats_are_drawn_with_as_many_digits_as_can_be_read() -> None:
    scene = Scene(**{KEY: {"uniform": [0.0, 1.0]}})
    threshold = scene.threshold("a")
    assert threshold == float(f"{threshold:.6g}")
