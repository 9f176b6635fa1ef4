"""The plan of a sweep, which is written before anything starts. When a sweep is resumed, `raycal.sweep.extension`
compares the sweep file with the plan."""

import json
import os
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from annotated_types import Ge
from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from raycal import __version__
from raycal.algorithm.expert import experts
from raycal.config import ExperimentConfig, SearchConfig
from raycal.config.labels import trials_csv
from raycal.errors import InputError
from raycal.plugins import owner_of
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_dir import CONFIG, RunDir
from raycal.storage.seal import seal, unseal

PLAN, TRIALS = "plan.json", "trials.csv"
# The folder in the report whose files are for the owner of a project alone, and are not sent to MLflow.
OWNER_ONLY = "owner"
ID_PATTERN = r"^[a-z0-9][a-z0-9._+-]*$"  # An id is also the name of a folder.


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """The experiments that a sweep is to run.

    Attributes:
        sweep: The name of the sweep.
        experiments: The experiments by id, in the order in which they start.
        threads: CPU threads of each trial; they are part of the plan because the last bits of a result depend on them.
        search: A search that decides trial by trial, so that the plan grows while the sweep runs. None means that all
            experiments are known from the start.
        base: The experiment that such a search varies.
        axes: The keys that the grid and the random search vary, now or at an earlier start; None in the plan of an
            earlier version of raycal, and if a search decides trial by trial.
        removed: The ids of the experiments that the sweep file no longer contains; they are kept, but do not run any
            more.
    """

    sweep: str
    experiments: Mapping[str, ExperimentConfig]
    threads: int
    search: SearchConfig | None = None
    base: ExperimentConfig | None = None
    axes: tuple[str, ...] | None = None
    removed: tuple[str, ...] = ()

    @property
    def searched(self) -> Collection[str]:
        """The keys varied by a search that decides trial by trial; empty without such a search."""
        return self.search.space if self.search is not None else ()

    @property
    def asked(self) -> dict[str, ExperimentConfig]:
        """The experiments that the sweep file still contains."""
        removed = set(self.removed)
        return {key: config for key, config in self.experiments.items() if key not in removed}


class _PlanFile(BaseModel):
    """The content of plan.json."""

    sweep: str
    threads: Annotated[int, Ge(1)]
    experiments: dict[Annotated[str, StringConstraints(pattern=ID_PATTERN)], ExperimentConfig]
    search: SearchConfig | None = None
    base: ExperimentConfig | None = None
    axes: tuple[str, ...] | None = None
    removed: tuple[str, ...] = ()
    experts: dict[str, dict[str, list[str] | None]] = Field(default_factory=dict)


class SweepDir:
    """`<storage>/<sweep name>`: the plan and one folder per experiment.

    Args:
        lease: The ownership of the folder by the process that writes here. None means that nobody writes, or that the
            caller has made sure that it may write.
    """

    def __init__(self, folder: Folder, lease: Lease | None = None) -> None:
        self.folder, self.lease = folder, lease

    def run_dir(self, experiment_id: str) -> RunDir:
        """The folder of one experiment, to be read."""
        return RunDir(self.folder.folder(experiment_id))

    def existing_plan(self) -> SweepPlan:
        """The plan of a sweep that has been started here.

        Raises:
            InputError: There is no plan, it cannot be read, or it is damaged.
        """
        plan = self.read_plan()
        if plan is None:
            raise InputError(f"{self.folder.place}: not the folder of a sweep: {self._why_no_sweep()}")
        return plan

    def _why_no_sweep(self) -> str:
        if not self.folder.exists():
            return "there is no such folder"
        if self.folder.exists(CONFIG):
            return f"it has no {PLAN}; it is the folder of one experiment: give the folder that it lies in"
        return f"it has no {PLAN}"

    def read_plan(self) -> SweepPlan | None:
        """The plan; None if the sweep has never been started here.

        Raises:
            InputError: The plan cannot be read, or it is damaged.
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
                "restore an intact copy: MLflow has it with the sweep's run"
            ) from error
        for name, description in file.experts.items():
            experts.describe(name, description)
        return SweepPlan(
            sweep=file.sweep,
            experiments=file.experiments,
            threads=file.threads,
            search=file.search,
            base=file.base,
            axes=file.axes,
            removed=tuple(key for key in file.removed if key in file.experiments),
        )

    def write_plan(self, plan: SweepPlan) -> None:
        """Write the plan, completely or not at all, and then the table of the trials.

        The plan is written before anything starts, and again when a search or an extended grid has added experiments.
        """
        earlier = self._record()
        begun = earlier.get("started")
        content: dict[str, Any] = {
            "raycal": __version__,
            "started": time.time_ns() // 1_000_000 if begun is None else begun,
            "sweep": plan.sweep,
            "threads": plan.threads,
            "experiments": {key: config.model_dump(mode="json") for key, config in plan.experiments.items()},
        }
        if not earlier or "id" in earlier:  # A plan of an older version has no id.
            content["id"] = earlier.get("id", uuid4().hex)
        for key, value in {"search": plan.search, "base": plan.base}.items():
            if value is not None:
                content[key] = value.model_dump(mode="json")
        if plan.axes is not None:
            content["axes"] = list(plan.axes)
        if plan.removed:
            content["removed"] = list(plan.removed)
        # Experiment ids depend on what an expert's options affect, even if the plug-in that defines it is missing.
        described = dict(earlier.get("experts", {})) | _descriptions(plan)
        if described:
            content["experts"] = described
        self.check_owner()
        self.folder.write(PLAN, seal(content, indent=1))
        self.write_trials(plan)

    def write_trials(self, plan: SweepPlan) -> None:
        """Write `trials.csv`, which describes each experiment id in words, unless it is up to date."""
        content = trials_csv(plan.experiments, plan.removed, searched=plan.searched).encode()
        if self.folder.read(TRIALS) != content:
            self.check_owner()
            self.folder.write(TRIALS, content)

    def check_owner(self) -> None:
        """Check that the sweep's folder may be written; call it before writing.

        Raises:
            TakenOverError: Another process has started the same sweep and taken over its folder.
        """
        if self.lease is not None:
            self.lease.check()

    def start_time(self) -> int | None:
        """The time when the plan was first written, in milliseconds since 1970. None if the time was not recorded."""
        return self._record().get("started")

    def sweep_id(self) -> str | None:
        """The id that distinguishes this sweep from all others, wherever its folder is. None for a plan of an earlier
        version of raycal."""
        return self._record().get("id")

    def _record(self) -> dict[str, Any]:
        """The content of plan.json; empty before the file is written."""
        content = self.folder.read(PLAN)
        return {} if content is None else dict(json.loads(content))

    def lock(self, doing: str = "running this sweep") -> AbstractContextManager[Any]:
        """Keep a second process from using the folder of a running sweep; does nothing if this process cannot write in
        the folder.

        Args:
            doing: What the other process does, for the message of the error.

        Raises:
            InputError: Another process holds the lock, or the folder cannot be created.
        """
        path = Path(self.folder.path)
        if not self.folder.is_local or (path.exists() and not os.access(path, os.W_OK)):
            return nullcontext()
        try:
            path.mkdir(parents=True, exist_ok=True)
            return FileLock(path / ".lock", blocking=False).acquire()
        except Timeout as error:
            raise InputError(f"{path}: another process is {doing}") from error
        except OSError as error:
            raise InputError(f"--storage: {path} cannot be written: {error.strerror or error}") from error


def _descriptions(plan: SweepPlan) -> dict[str, dict[str, list[str] | None]]:
    """The options of the experts that loaded plug-ins define: for each expert's name, the uses that each option
    affects."""
    configs = [*plan.experiments.values(), *([plan.base] if plan.base is not None else [])]
    named = {expert["name"] for config in configs for _, expert in experts.chain(config.expert.model_dump())}
    return {name: experts.description(name) for name in sorted(named) if owner_of("expert", name) is not None}
