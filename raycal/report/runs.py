"""The runs of a sweep as the report sees them, wherever they were read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.files import Folder
from raycal.plan import SweepDir
from raycal.summary import varied_keys

Status = Literal["finished", "stopped", "failed", "unfinished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One experiment.

    Attributes:
        status: Only a `finished` one may enter a statistic; `stopped`: early, by a scheduler.
        reason: Of a failure or of a stop; empty otherwise.
        lines: Of results.jsonl, by iteration.
        folder: Of the run, as `Folder.at` takes it; empty when there is none.
    """

    experiment_id: str
    config: ExperimentConfig
    status: Status
    reason: str
    lines: tuple[Mapping[str, Any], ...]
    folder: str

    @property
    def scenario(self) -> str:
        """Its name."""
        return self.config.steps.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials that differ by their seed alone.

    Attributes:
        settings: What differs between the groups of a sweep, by dotted key, the scenario's name first.
        trials: By seed.
    """

    settings: Mapping[str, str]
    trials: tuple[Trial, ...]

    @property
    def scenario(self) -> str:
        """Its name."""
        return self.trials[0].scenario

    @property
    def label(self) -> str:
        """The values that tell it from the other groups, the scenario first."""
        return ", ".join(self.settings.values())

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that may enter a statistic."""
        return tuple(trial for trial in self.trials if trial.status == "finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All trials of a sweep, in the order of its plan."""

    name: str
    trials: tuple[Trial, ...]

    @property
    def groups(self) -> Sequence[Group]:
        """Seeds taken together, in the order of the plan."""
        keys = varied_keys([trial.config for trial in self.trials])
        found: dict[tuple[str, ...], list[Trial]] = {}
        for trial in self.trials:
            flat = trial.config.flat() | {"scenario": trial.scenario}
            found.setdefault(tuple(str(flat.get(key)) for key in keys), []).append(trial)
        return [
            Group(
                settings=dict(zip(keys, values, strict=True)),
                trials=tuple(sorted(trials, key=lambda trial: trial.config.seed)),
            )
            for values, trials in found.items()
        ]


def read_runs(folder: str) -> Runs:
    """The runs in the folder of a sweep (`<storage>/<sweep name>`).

    Raises:
        InputError: It is not the folder of a sweep.
    """
    sweep_dir = SweepDir(Folder.at(folder))
    plan = sweep_dir.read_plan()
    if plan is None:
        raise InputError(f"{folder}: not the folder of a sweep: it has no plan.json")
    return Runs(
        name=plan.sweep, trials=tuple(_read(sweep_dir, key, config) for key, config in plan.experiments.items())
    )


def _read(sweep_dir: SweepDir, experiment_id: str, config: ExperimentConfig) -> Trial:
    run_dir = sweep_dir.run_dir(experiment_id)
    stopped, error = run_dir.stopped_reason(), run_dir.error()
    status: Status = "unfinished"
    if run_dir.is_finished:
        status = "finished"
    elif stopped is not None:
        status = "stopped"
    elif error is not None:
        status = "failed"
    return Trial(
        experiment_id=experiment_id,
        config=config,
        status=status,
        reason=(stopped or error or "").strip() if status != "finished" else "",
        lines=tuple(run_dir.results()),
        folder=run_dir.folder.uri,
    )
