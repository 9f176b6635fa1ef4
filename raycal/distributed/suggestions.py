"""Lets Optuna decide, through Ray Tune, which experiment of a search comes next."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from raycal.config import ExperimentConfig, SearchConfig
from raycal.config.search import SIGNIFICANT_DIGITS
from raycal.errors import InputError
from raycal.storage.results import OBJECTIVE

# The search space counts as exhausted after this many proposals in a row that were tried already.
MAX_REPEATS = 50


class Suggestions(Searcher):
    """The experiments of a search, one by one: first the experiments that an interrupted sweep left unfinished, then
    the experiments that Optuna proposes.

    Args:
        search: The search section of the sweep file.
        known: The experiments planned so far, by id.
        outcomes: The objective of each experiment that has ended, by id. None if its trial failed.
        experiment_of: Makes an experiment from values; raises InputError for values that cannot be combined.
        plan: Called with each new experiment before it starts.
    """

    def __init__(
        self,
        search: SearchConfig,
        known: Mapping[str, ExperimentConfig],
        outcomes: Mapping[str, float | None],
        experiment_of: Callable[[Mapping[str, Any]], ExperimentConfig],
        plan: Callable[[ExperimentConfig], None],
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self._space = search.space
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = {key: _tune_domain(domain.name, domain.arguments) for key, domain in search.space.items()}
        self._optuna = OptunaSearch(
            OptunaSearch.convert_search_space(space), metric=OBJECTIVE, mode="max", seed=search.seed
        )
        self._experiment_of, self._plan = experiment_of, plan
        self._known, self._outcomes = set(known), dict(outcomes)
        self._unfinished = [config for key, config in known.items() if key not in outcomes]
        self._experiments: dict[str, ExperimentConfig] = {}
        self._names: dict[str, str] = {}
        for key, outcome in outcomes.items():
            self._tell(known[key], outcome)

    def suggest(self, trial_id: str) -> Any:
        """The settings of the next trial, or `Searcher.FINISHED`."""
        config = self._unfinished.pop(0) if self._unfinished else self._new(trial_id)
        if config is None:
            return Searcher.FINISHED
        self._experiments[trial_id] = config
        return {"experiment_id": config.experiment_id, "settings": config.model_dump(mode="json")}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an iteration to Optuna. If a trial is stopped early, Optuna judges it by its iterations."""
        if trial_id in self._names and OBJECTIVE in result:
            self._optuna.on_trial_result(self._names[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Report the end of a trial to Optuna. If the trial was stopped early, Optuna judges it by the reported
        iterations.
        """
        result = result or {}
        failed = error or result.get("error") is not None
        objective = None if failed else result.get(OBJECTIVE)
        self._outcomes[self._experiments[trial_id].experiment_id] = objective
        if trial_id not in self._names:
            self._tell(self._experiments[trial_id], objective)
        elif failed or "ended" in result:
            value = {} if objective is None else {OBJECTIVE: objective}
            self._optuna.on_trial_complete(self._names[trial_id], value, error=objective is None)
        else:
            self._optuna.on_trial_complete(self._names[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a resumed sweep rebuilds the search from its plan and its run folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, because nothing is saved."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher to restore a run, which raycal never does.
        return {}

    def _new(self, trial_id: str) -> ExperimentConfig | None:
        """An experiment that was not tried before. None if Optuna proposes no such experiment."""
        for number in range(MAX_REPEATS):
            name = f"{trial_id}-{number}"
            suggested = self._optuna.suggest(name) or {}
            values = {key: _readable(value) for key, value in suggested.items()}
            try:
                config = self._experiment_of(values)
            except InputError:  # Each value is accepted alone, but not in this combination.
                self._optuna.on_trial_complete(name, error=True)
                continue
            if config.experiment_id not in self._known:
                self._known.add(config.experiment_id)
                self._names[trial_id] = name
                self._plan(config)
                return config
            outcome = self._outcomes.get(config.experiment_id)
            self._optuna.on_trial_complete(name, {} if outcome is None else {OBJECTIVE: outcome}, error=outcome is None)
        return None

    def _tell(self, config: ExperimentConfig, objective: float | None) -> None:
        """Report to Optuna a trial that Optuna did not propose."""
        flat = config.flat() | {"scenario": config.resolved_scenario.name}
        values = {key: flat[key] if key in flat else flat.get(f"{key}.name") for key in self._space}
        self._optuna.add_evaluated_point(values, 0.0 if objective is None else objective, error=objective is None)


def _tune_domain(name: str, arguments: tuple[Any, ...]) -> Any:
    """The Ray Tune distribution of the same name."""
    return tune.choice(list(arguments)) if name == "choice" else getattr(tune, name)(*arguments)


def _readable(value: Any) -> Any:
    """A float rounded to `SIGNIFICANT_DIGITS`, which a person can read and type."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value
