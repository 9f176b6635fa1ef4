"""The plan of a sweep: written before anything starts, compared when it is resumed."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from annotated_types import Ge
from filelock import FileLock, Timeout
from pydantic import BaseModel, StringConstraints, ValidationError

from raycal import __version__
from raycal.config import ExperimentConfig, SearchConfig, Sweep
from raycal.digest import seal, unseal
from raycal.errors import InputError
from raycal.files import Folder
from raycal.owner import Owner
from raycal.store import RunDir

PLAN = "plan.json"
ID_PATTERN = r"^[a-z0-9][a-z0-9._+-]*$"  # an id is the name of a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a sweep is to run.

    Attributes:
        experiments: By experiment id, in the order they start.
        threads: Of each trial; part of the plan because the last bits of a result depend on it.
        search: That decides trial by trial, so that the plan grows while the sweep runs; None: all is planned.
        base: What such a search starts from.
    """

    sweep: str
    experiments: Mapping[str, ExperimentConfig]
    threads: int
    search: SearchConfig | None = None
    base: ExperimentConfig | None = None


class _PlanFile(BaseModel):
    """plan.json."""

    sweep: str
    threads: Annotated[int, Ge(1)]
    experiments: dict[Annotated[str, StringConstraints(pattern=ID_PATTERN)], ExperimentConfig]
    search: SearchConfig | None = None
    base: ExperimentConfig | None = None


class SweepDir:
    """`<storage>/<sweep name>`: the plan and one folder per experiment.

    Args:
        owner: The start of the sweep that writes here; None: nobody does, or the caller knows that it may.
    """

    def __init__(self, folder: Folder, owner: Owner | None = None) -> None:
        self.folder, self.owner = folder, owner

    def run_dir(self, experiment_id: str) -> RunDir:
        """The folder of one experiment."""
        return RunDir(self.folder.folder(experiment_id), self.owner)

    def read_plan(self) -> Plan | None:
        """The plan; None when the sweep has never been started here.

        Raises:
            InputError: The plan cannot be read.
        """
        try:
            content = self.folder.read(PLAN)
        except OSError as error:
            raise InputError(f"{self.folder.place} cannot be read: {error}") from error
        if content is None:
            return None
        try:
            file = _PlanFile.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            what = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
            raise InputError(f"{self.folder.place}/{PLAN}: not a plan of raycal {__version__}: {what}") from error
        try:
            unseal(content)
        except ValueError as error:
            raise InputError(
                f"{self.folder.place}/{PLAN}: damaged: {error}; "
                "put a whole one back: MLflow has it with the sweep's run"
            ) from error
        return Plan(
            sweep=file.sweep,
            experiments=file.experiments,
            threads=file.threads,
            search=file.search,
            base=file.base,
        )

    def write_plan(self, plan: Plan) -> None:
        """Write the plan, before anything starts; again when a search has added experiments, whole or not at all."""
        earlier = self._record()
        begun = earlier.get("started")
        content: dict[str, Any] = {
            "raycal": __version__,
            "started": time.time_ns() // 1_000_000 if begun is None else begun,
            "sweep": plan.sweep,
            "threads": plan.threads,
            "experiments": {key: config.model_dump(mode="json") for key, config in plan.experiments.items()},
        }
        if not earlier or "id" in earlier:  # a plan of an older version goes on without one
            content["id"] = earlier.get("id", uuid4().hex)
        for key, value in {"search": plan.search, "base": plan.base}.items():
            if value is not None:
                content[key] = value.model_dump(mode="json")
        self.check_owner()
        self.folder.write(PLAN, seal(content, indent=1))

    def check_owner(self) -> None:
        """To be called before something is written.

        Raises:
            TakenOverError: Another start of the sweep owns the folder.
        """
        if self.owner is not None:
            self.owner.check()

    def start_time(self) -> int | None:
        """When the plan was first written, in milliseconds since 1970; None when nobody recorded it."""
        return self._record().get("started")

    def sweep_id(self) -> str | None:
        """What tells this sweep from every other, wherever its folder lies; None for a plan of an older raycal."""
        return self._record().get("id")

    def _record(self) -> dict[str, Any]:
        """What plan.json holds; nothing when it is not written yet."""
        content = self.folder.read(PLAN)
        return {} if content is None else dict(json.loads(content))

    def lock(self) -> AbstractContextManager[Any]:
        """Keeps a second process off the folder of a running sweep; nothing to do where this one cannot write.

        Raises:
            InputError: Another process holds it, or there can be no such folder.
        """
        path = Path(self.folder.path)
        if not self.folder.is_local or (path.exists() and not os.access(path, os.W_OK)):
            return nullcontext()
        try:
            path.mkdir(parents=True, exist_ok=True)
            return FileLock(path / ".lock", blocking=False).acquire()
        except Timeout as error:
            raise InputError(f"{path}: another process is running this sweep") from error
        except OSError as error:
            raise InputError(f"--storage: {path} cannot be written: {error.strerror or error}") from error

    def check_unchanged(self, plan: Plan, sweep: Sweep) -> None:
        """Refuse to resume with other experiments than those planned, or with another search for them.

        Raises:
            InputError: Naming each key that differs.
        """
        if plan.base is None and sweep.base is None:
            if list(plan.experiments) == list(sweep.experiments):
                return
            planned, asked = _values(plan.experiments.values()), _values(sweep.experiments.values())
        else:
            planned, asked = _search_values(plan.search, plan.base), _search_values(sweep.search, sweep.base)
            if planned == asked:
                return
            if not planned or not asked:
                planned, asked = ({"search": found["search.algorithm"]} if found else {} for found in (planned, asked))
        changes = [
            f"--resume: {key} was {_words(planned.get(key))} when the sweep was planned and is now "
            f"{_words(asked.get(key))}; put it back, or give the sweep another name or --storage"
            for key in {**planned, **asked}
            if planned.get(key) != asked.get(key)
        ]
        if not changes and set(plan.experiments) == set(sweep.experiments):
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


def _search_values(search: SearchConfig | None, base: ExperimentConfig | None) -> dict[str, list[str]]:
    """Every key of the search and of its base experiment; none for a sweep whose experiments were all planned."""
    if search is None or base is None:
        return {}
    settings = search.model_dump(mode="json")
    space = {f"search.space.{key}": value for key, value in settings.pop("space").items()}
    values = {f"search.{key}": value for key, value in settings.items()} | space
    return {key: [json.dumps(value)] for key, value in values.items()} | _values([base])


def _words(values: Any) -> str:
    return "not given" if values is None else ", ".join(values)
