"""The folder of one experiment: all its paths, and the order in which its files are written."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from raycal.algorithm.records import Interaction, IterationResult
from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.storage import ledger
from raycal.storage.checkpoints import SavedState, StateDir, by_iteration, iteration_name, iteration_of
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.results import results_line
from raycal.storage.seal import digest_of, seal, unseal

logger = logging.getLogger(__name__)

MONTAGES, LEDGER = "clusters", "ledger"
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

    An iteration is committed in the order ledger file, state, results line. It counts once its state is saved: after a
    crash, `begin` drops a ledger file without a state, and rewrites the results lines from the state.

    Args:
        folder: The folder of the experiment.
        lease: The start of the sweep that writes here; each commit first asks it whether it still may. None: the
            caller knows that it may write.

    Raises:
        TakenOverError: From every method that writes results: the sweep has another owner.
    """

    def __init__(self, folder: Folder, lease: Lease | None = None) -> None:
        self.folder, self._lease = folder, lease
        self._committed: _Committed | None = None
        self._states = StateDir(folder.folder("state"))
        self._parts = folder.folder(LEDGER)
        self._montages = folder.folder(MONTAGES)

    def begin(self, config: ExperimentConfig) -> SavedState | None:
        """Start or continue the experiment; the newest whole state, or None.

        The configuration is written, and what a crash left is repaired.

        A run that is finished or was stopped is left as it is.
        """
        self._check_lease()
        if self.is_done:
            return None
        self.forget_failure()
        settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode()
        if self.folder.read(CONFIG) != settings:
            self.folder.write(CONFIG, settings)
        if self.start_time() is None:
            self.folder.write(STARTED, json.dumps({"time": time.time_ns() // 1_000_000}).encode())
        state = self._newest()
        self._committed = _Committed([], {}) if state is None else _Committed(state.results, state.ledger)
        self._write_results(self._committed.lines)
        last = -1 if state is None else state.iteration
        self._states.drop_after(last)
        for folder in (self._parts, self._montages):
            for name in by_iteration(folder.names("iteration-*")):
                if iteration_of(name) > last:
                    folder.remove(name)
        return state

    def commit(self, result: IterationResult, model: bytes) -> dict[str, Any]:
        """Save an iteration, in place of an earlier commit of the same iteration; return its results line."""
        self._check_lease()
        before = self._read_committed() or _Committed([], {})
        line, name, part = results_line(result), _part_name(result.iteration), ledger.to_parquet(result.ledger)
        lines = [*(old for old in before.lines if old["iteration"] < result.iteration), line]
        parts = {old: digest for old, digest in before.parts.items() if iteration_of(old) < result.iteration}
        self._committed = _Committed(lines, parts | {name: digest_of(part)})
        self._parts.write(name, part)
        self._states.save(result, model, lines, self._committed.parts)
        self._check_lease()  # an owner that slept would cut off the next owner's lines
        self._write_results(lines)
        return line

    def finish(self, reason: str) -> None:
        """Mark the experiment as finished; its models are removed."""
        self._end(FINISHED, {"reason": reason})

    def stop(self, reason: str) -> None:
        """Mark the experiment as stopped early, by `asha` for example; its models are removed.

        A stopped experiment needs nothing more but is not finished. An experiment that did finish stays finished.
        """
        if self.is_finished:
            return
        committed = self._read_committed()
        lines = self.results() if committed is None else committed.lines
        self._end(STOPPED, {"reason": reason, "iteration": lines[-1]["iteration"] if lines else None})

    def fail(self, message: str) -> None:
        """Record why the experiment failed; a later start removes the record.

        On a full disk the reason is only logged, as a failure to record it must not stop other experiments.
        """
        self._check_lease()
        try:
            self.folder.write(ERROR, message.encode())
        except OSError as error:
            logger.error("%s: %s cannot be written (%s): %s", self.folder.place, ERROR, error, message)

    def forget_failure(self) -> None:
        """Remove the record of a failure."""
        self.folder.remove(ERROR)

    def tidy(self) -> None:
        """Remove the models that a crash at the end of the experiment left."""
        if self.is_done:
            self._states.prune(0)

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
        """Why the experiment finished, `iterations` or `pool exhausted`; None when it is not finished."""
        return self._reason(FINISHED)

    def stopped_reason(self) -> str | None:
        """What stopped the experiment early; None when nothing did, or when it finished all the same."""
        return None if self.is_finished else self._reason(STOPPED)

    def damage(self) -> list[str]:
        """What is wrong with a run that is over, a line per file that is not as it was at the end.

        The list is empty for a run that is not over, which repairs itself, and for one that an earlier version ended.
        """
        try:
            end = self._read_end(FINISHED) or self._read_end(STOPPED) or {}
        except InputError as error:
            return list(error.problems)
        where, files = self.folder.place, end.get("files")
        return [
            f"{where}/{name}: not as the experiment left it; put it back, or remove {where} to run the experiment again"
            for name in self._changed(files if isinstance(files, dict) else {})
        ]

    def error(self) -> str | None:
        """The record of a failure; None without a failure."""
        content = self.folder.read(ERROR)
        return None if content is None else content.decode(errors="replace")

    def config(self) -> ExperimentConfig:
        """The configuration of the experiment in this folder."""
        content = self.folder.read(CONFIG)
        if content is None:
            raise FileNotFoundError(f"{self.folder.place}/{CONFIG}")
        return ExperimentConfig.model_validate(yaml.safe_load(content))

    def results(self) -> list[dict[str, Any]]:
        """The lines of results.jsonl, by iteration.

        Raises:
            InputError: A line was not written by raycal.
        """
        lines = []
        for number, text in enumerate((self.folder.read(RESULTS) or b"").splitlines(), 1):
            line = self._object(f"{RESULTS}:{number}", text)
            if not line.keys() >= _READ_FROM_RESULTS:
                raise InputError(f"{self.folder.place}/{RESULTS}:{number}: {NOT_OURS}")
            lines.append(line)
        return lines

    def ledger(self) -> bytes:
        """The whole ledger as one Parquet file.

        Raises:
            InputError: One of its files is no ledger of raycal.
        """
        names = by_iteration(self._parts.names("iteration-*.parquet"))
        tables = []
        for name in names:
            try:
                tables.append(ledger.to_table(self._parts.read(name) or b""))
            except ValueError as error:
                raise InputError(f"{self.folder.place}/{LEDGER}/{name}: {NOT_OURS}") from error
        return ledger.joined(tables)

    def ledger_of(self, iteration: int) -> Sequence[Interaction]:
        """The interactions of one iteration; empty when it has no ledger file."""
        content = self._parts.read(_part_name(iteration))
        return () if content is None else ledger.from_parquet(content)

    def write_montage(self, iteration: int, picture: bytes) -> None:
        """Write the montage of an iteration's clusters, a PNG."""
        self._montages.write(f"{iteration_name(iteration)}.png", picture)

    def montage(self, iteration: int) -> bytes | None:
        """The montage of an iteration's clusters, a PNG; None when there is none."""
        return self._montages.read(f"{iteration_name(iteration)}.png")

    def montages(self) -> list[str]:
        """The names of the montages, relative to the folder, by iteration."""
        return [f"{MONTAGES}/{name}" for name in by_iteration(self._montages.names("iteration-*.png"))]

    def start_time(self) -> int | None:
        """When the experiment first began, in milliseconds since 1970; None when it has not."""
        content = self.folder.read(STARTED)
        try:
            return None if content is None else int(json.loads(content)["time"])
        except (ValueError, TypeError, KeyError):  # the file is torn, or raycal did not write it
            return None

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Record device, number format, threads and versions."""
        self.folder.write(ENVIRONMENT, json.dumps(environment, indent=1).encode())

    def environment(self) -> dict[str, Any]:
        """The environment that `write_environment` recorded; empty before."""
        return self._object(ENVIRONMENT, self.folder.read(ENVIRONMENT) or b"{}")

    def _reason(self, name: str) -> str | None:
        """The reason in one of the records of an end; None without the record."""
        end = self._read_end(name)
        return None if end is None else str(end.get("reason"))

    def _object(self, name: str, content: bytes) -> dict[str, Any]:
        """The content as a JSON object; raises InputError when it is none."""
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise InputError(f"{self.folder.place}/{name}: {NOT_OURS}")
        return value

    def _write_results(self, lines: list[dict[str, Any]]) -> None:
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if self.folder.read(RESULTS) != content:
            self.folder.write(RESULTS, content)

    def _check_lease(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def _newest(self) -> SavedState | None:
        """The newest whole state with a whole ledger up to it."""
        for state in self._states.whole():
            changed = self._changed({f"{LEDGER}/{name}": digest for name, digest in state.ledger.items()})
            if not changed:
                return state
            logger.warning("%s/%s: damaged; its iteration is done again", self.folder.place, changed[0])
        return None

    def _read_committed(self) -> "_Committed | None":
        """The committed lines and ledger digests, from memory, else from the newest state; None without a state."""
        if self._committed is not None:
            return self._committed
        state = self._newest()
        return None if state is None else _Committed(state.results, state.ledger)

    def _changed(self, digests: Mapping[str, str]) -> list[str]:
        """The files that are gone or have other digests."""
        return [name for name, digest in digests.items() if self._digest(name) != digest]

    def _digest(self, name: str) -> str | None:
        """The digest of a file as it is on disk; None when the file cannot be one of this folder's."""
        if ".." in name.split("/"):
            return None
        try:
            return digest_of(self.folder.read(name) or b"")
        except InputError:  # the file is too large
            return None

    def _end(self, name: str, end: Mapping[str, Any]) -> None:
        """Record the end with the digests of all files; a committed file has the digest of its commit."""
        self._check_lease()
        committed = self._read_committed()
        if committed is not None:
            self._write_results(committed.lines)
        known = {f"{LEDGER}/{part}": digest for part, digest in committed.parts.items()} if committed else {}
        others = [
            other
            for other in self.folder.all_names()
            if not other.startswith("state/") and other not in (ERROR, STARTED)
        ]
        digests = {other: known.get(other) or digest_of(self.folder.read(other) or b"") for other in others}
        self.folder.write(name, seal({**end, "files": digests | known}))
        self._states.prune(0)

    def _read_end(self, name: str) -> dict[str, Any] | None:
        content = self.folder.read(name)
        if content is None:
            return None
        self._object(name, content)
        try:
            return unseal(content)
        except ValueError as error:
            where = self.folder.place
            raise InputError(
                f"{where}/{name}: damaged; put it back, or remove {where} to run the experiment again"
            ) from error


@dataclass(frozen=True, slots=True)
class _Committed:
    """The results lines of a run, and the digests of its ledger files by name."""

    lines: list[dict[str, Any]]
    parts: dict[str, str]


def _part_name(iteration: int) -> str:
    return f"{iteration_name(iteration)}.parquet"
