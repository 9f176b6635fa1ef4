"""The plan of a sweep: written before anything starts, compared when it is resumed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BaseModel, ValidationError

from raycal import __version__
from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.files import Folder
from raycal.store import RunDir

PLAN = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a sweep is to run.

    Attributes:
        experiments: By experiment id, in the order they start.
        threads: Of each trial; part of the plan because the last bits of a result depend on it.
    """

    sweep: str
    experiments: Mapping[str, ExperimentConfig]
    threads: int


class _PlanFile(BaseModel):
    """plan.json."""

    sweep: str
    threads: Annotated[int, Ge(1)]
    experiments: dict[str, ExperimentConfig]


class SweepDir:
    """`<storage>/<sweep name>`: the plan and one folder per experiment."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def run_dir(self, experiment_id: str) -> RunDir:
        """The folder of one experiment."""
        return RunDir(self.folder.folder(experiment_id))

    def read_plan(self) -> Plan | None:
        """The plan; None when the sweep has never been started here.

        Raises:
            InputError: The plan cannot be read.
        """
        content = self.folder.read(PLAN)
        if content is None:
            return None
        try:
            file = _PlanFile.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{self.folder.path}/{PLAN}: not a plan of raycal {__version__}: {where}: {first['msg']}"
            ) from error
        return Plan(sweep=file.sweep, experiments=file.experiments, threads=file.threads)

    def write_plan(self, plan: Plan) -> None:
        """Write the plan, before anything starts."""
        content = {
            "raycal": __version__,
            "sweep": plan.sweep,
            "threads": plan.threads,
            "experiments": {key: config.model_dump(mode="json") for key, config in plan.experiments.items()},
        }
        self.folder.write(PLAN, json.dumps(content, indent=1).encode())

    def check_unchanged(self, plan: Plan, experiments: Mapping[str, ExperimentConfig]) -> None:
        """Refuse to resume with other experiments than those planned.

        Raises:
            InputError: Naming each key that differs.
        """
        if list(plan.experiments) == list(experiments):
            return
        planned, asked = _values(plan.experiments.values()), _values(experiments.values())
        changes = [
            f"--resume: {key} was {_words(planned.get(key))} when the sweep was planned and is now "
            f"{_words(asked.get(key))}; put it back, or give the sweep another name or --storage"
            for key in {**planned, **asked}
            if planned.get(key) != asked.get(key)
        ]
        if not changes and set(plan.experiments) == set(experiments):
            changes = ["--resume: the experiments are in another order than when the sweep was planned"]
        elif not changes:
            changes = ["--resume: the sweep was planned by a version of raycal whose results differ; start it anew"]
        raise InputError(*changes)


def _values(experiments: Iterable[ExperimentConfig]) -> dict[str, list[str]]:
    """Every value that each key takes over the experiments."""
    values: dict[str, list[str]] = {}
    for experiment in experiments:
        for key, value in experiment.flat().items():
            seen = values.setdefault(key, [])
            if (text := json.dumps(value)) not in seen:
                seen.append(text)
    return values


def _words(values: Any) -> str:
    return "not given" if values is None else ", ".join(values)
