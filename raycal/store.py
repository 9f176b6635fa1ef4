"""The folder of one experiment: every path of it, and what is written in which order."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from raycal import ledger
from raycal.algorithm.records import Interaction, IterationResult
from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.files import Folder
from raycal.results import results_line
from raycal.state import SavedState, StateDir, by_iteration, iteration_name, iteration_of

logger = logging.getLogger(__name__)

MONTAGES = "clusters"
CONFIG, RESULTS, ERROR, ENVIRONMENT, STARTED, FINISHED, STOPPED = (
    "config.yaml",
    "results.jsonl",
    "error.txt",
    "environment.json",
    "started.json",
    "state/finished.json",
    "state/stopped.json",
)
_READ_FROM_RESULTS = {"iteration", "interactions", "annotated", "cluster_label_error", "test_accuracy"}
NOT_OURS = "raycal did not write this; move the folder away, and --resume runs the experiment anew"


class RunDir:
    """The folder of one experiment.

    An iteration is committed in the order ledger part, state, results line. The state makes it count: `begin` redoes
    what came before a crash, and mends what was to come after it.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._states = StateDir(folder.folder("state"))
        self._parts = folder.folder("ledger")
        self._montages = folder.folder(MONTAGES)

    def begin(self, config: ExperimentConfig) -> SavedState | None:
        """Start or go on: writes the configuration, mends what a crash left, returns the newest whole state.

        A run that is finished or was stopped is left as it is.
        """
        if self.is_done:
            self._states.prune(0)
            return None
        self.forget_failure()
        settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode()
        if self.folder.read(CONFIG) != settings:
            self.folder.write(CONFIG, settings)
        if self.start_time() is None:
            self.folder.write(STARTED, json.dumps({"time": time.time_ns() // 1_000_000}).encode())
        state = self._states.newest()
        self._write_results([] if state is None else state.results)
        for folder in (self._parts, self._montages):
            for name in by_iteration(folder.names("iteration-*")):
                if state is None or iteration_of(name) > state.loop.iteration:
                    folder.remove(name)
        return state

    def commit(self, result: IterationResult, model: bytes) -> dict[str, Any]:
        """Save an iteration; the same iteration again replaces what was there. Returns its results line."""
        line = results_line(result)
        lines = [*(old for old in self.results() if old["iteration"] < result.iteration), line]
        self._parts.write(f"{iteration_name(result.iteration)}.parquet", ledger.to_parquet(result.ledger))
        self._states.save(result, model, lines)
        self._write_results(lines)
        return line

    def finish(self, reason: str) -> None:
        """Mark the experiment as finished; its model is not kept."""
        self.folder.write(FINISHED, json.dumps({"reason": reason}).encode())
        self._states.prune(0)

    def stop(self, reason: str) -> None:
        """Mark the experiment as stopped early, by `asha` for one; its model is not kept.

        It needs nothing more and is not finished. One that did finish stays so.
        """
        if self.is_finished:
            return
        lines = self.results()
        stopped = {"reason": reason, "iteration": lines[-1]["iteration"] if lines else None}
        self.folder.write(STOPPED, json.dumps(stopped).encode())
        self._states.prune(0)

    def fail(self, message: str) -> None:
        """Record why the experiment failed; a later start takes the record away.

        On a full disk the reason is only logged: it must not become the failure of others.
        """
        try:
            self.folder.write(ERROR, message.encode())
        except OSError as error:
            logger.error("%s: %s cannot be written (%s): %s", self.folder.path, ERROR, error, message)

    def forget_failure(self) -> None:
        """Take away the record of a failure."""
        self.folder.remove(ERROR)

    @property
    def has_begun(self) -> bool:
        """Whether the experiment was started."""
        return self.folder.exists()

    @property
    def is_finished(self) -> bool:
        """Whether the experiment ran to its end."""
        return self.folder.exists(FINISHED)

    @property
    def is_done(self) -> bool:
        """Whether the experiment needs nothing more: it ran to its end or was stopped early."""
        return self.is_finished or self.folder.exists(STOPPED)

    def finished_reason(self) -> str | None:
        """`iterations` or `pool exhausted`; None when it is not finished."""
        return self._reason(FINISHED)

    def stopped_reason(self) -> str | None:
        """What stopped the experiment early; None when nothing did or it finished all the same."""
        return None if self.is_finished else self._reason(STOPPED)

    def error(self) -> str | None:
        """The record of a failure."""
        content = self.folder.read(ERROR)
        return None if content is None else content.decode(errors="replace")

    def config(self) -> ExperimentConfig:
        """The experiment that this folder is of."""
        content = self.folder.read(CONFIG)
        if content is None:
            raise FileNotFoundError(f"{self.folder.path}/{CONFIG}")
        return ExperimentConfig.model_validate(yaml.safe_load(content))

    def results(self) -> list[dict[str, Any]]:
        """The lines of results.jsonl, by iteration.

        Raises:
            InputError: One is not a line of raycal.
        """
        lines = []
        for number, text in enumerate((self.folder.read(RESULTS) or b"").splitlines(), 1):
            line = self._object(f"{RESULTS}:{number}", text)
            if not line.keys() >= _READ_FROM_RESULTS:
                raise InputError(f"{self.folder.path}/{RESULTS}:{number}: {NOT_OURS}")
            lines.append(line)
        return lines

    def ledger(self) -> bytes:
        """The whole ledger as one Parquet file."""
        names = by_iteration(self._parts.names("iteration-*.parquet"))
        return ledger.join(self._parts.read(name) or b"" for name in names)

    def ledger_of(self, iteration: int) -> Sequence[Interaction]:
        """The interactions of one iteration; none when it is not there."""
        content = self._parts.read(f"{iteration_name(iteration)}.parquet")
        return () if content is None else ledger.from_parquet(content)

    def write_montage(self, iteration: int, picture: bytes) -> None:
        """Keep a picture of an iteration's clusters, a PNG."""
        self._montages.write(f"{iteration_name(iteration)}.png", picture)

    def has_montage(self, iteration: int) -> bool:
        """Whether there is a picture of an iteration's clusters."""
        return self._montages.exists(f"{iteration_name(iteration)}.png")

    def montages(self) -> list[str]:
        """The names of the pictures, relative to the folder, by iteration."""
        return [f"{MONTAGES}/{name}" for name in by_iteration(self._montages.names("iteration-*.png"))]

    def start_time(self) -> int | None:
        """When the experiment first began, in milliseconds since 1970; None when it has not."""
        content = self.folder.read(STARTED)
        try:
            return None if content is None else int(json.loads(content)["time"])
        except (ValueError, TypeError, KeyError):  # a torn file, or another's
            return None

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Record device, number format, threads and versions."""
        self.folder.write(ENVIRONMENT, json.dumps(environment, indent=1).encode())

    def environment(self) -> dict[str, Any]:
        """What `write_environment` recorded; empty before."""
        return self._object(ENVIRONMENT, self.folder.read(ENVIRONMENT) or b"{}")

    def _reason(self, name: str) -> str | None:
        """Why the experiment is over, as one of its marks says."""
        content = self.folder.read(name)
        return None if content is None else str(self._object(name, content).get("reason"))

    def _object(self, name: str, content: bytes) -> dict[str, Any]:
        """A JSON object; InputError when it is none."""
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise InputError(f"{self.folder.path}/{name}: {NOT_OURS}")
        return value

    def _write_results(self, lines: list[dict[str, Any]]) -> None:
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if self.folder.read(RESULTS) != content:
            self.folder.write(RESULTS, content)
