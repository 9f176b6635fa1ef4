"""Reads the folder of one experiment: the names of its files, and their content."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, cast, get_args

import yaml

from raycal.algorithm.records import Interaction
from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.storage import ledger
from raycal.storage.checkpoints import by_iteration, iteration_name
from raycal.storage.folder import Folder
from raycal.storage.results import IterationRecord
from raycal.storage.seal import digest_of, unseal

MONTAGES, LEDGER, STATES, PEOPLE = "clusters", "ledger", "state", "people"
CONFIG, RESULTS, ERROR, ENVIRONMENT, STARTED, FINISHED, STOPPED = (
    "config.yaml",
    "results.jsonl",
    "error.txt",
    "environment.json",
    "started.json",
    f"{STATES}/finished.json",
    f"{STATES}/stopped.json",
)
_READ_FROM_RESULTS = {"iteration", "interactions", "annotated", "cluster_label_error", "test_accuracy"}

# The words for the states in tables and in the Python API. These words do not distinguish planned from running trials.
Outcome = Literal["finished", "stopped", "failed", "unfinished"]
# The forms of the file that shows the clusters of an iteration: a picture of images, or a page with texts.
MontageForm = Literal["png", "html"]
# The reason for the end of an experiment that has no sample left to ask about.
POOL_EXHAUSTED = "pool exhausted"


class TrialState(StrEnum):
    """The progress of a trial, as its folder shows it; a trial that was interrupted counts as running."""

    PLANNED = "planned"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to run: the trial finished, or a scheduler stopped it early."""
        return self in (TrialState.FINISHED, TrialState.STOPPED)

    @property
    def has_ended(self) -> bool:
        """Whether the trial is complete or has failed; a failed trial runs again when the sweep is resumed."""
        return self.is_complete or self is TrialState.FAILED

    @property
    def outcome(self) -> Outcome:
        """The state in the words that tables use. `unfinished` for a trial that has not ended."""
        return cast(Outcome, self.value) if self.has_ended else "unfinished"


# For each state, the file that shows it. The first of these files that exists decides. A failure while the last files
# are written therefore does not change the state of an experiment that has finished.
_RECORDS = {TrialState.FINISHED: FINISHED, TrialState.STOPPED: STOPPED, TrialState.FAILED: ERROR}


class RunDir:
    """The folder of one experiment, to be read; `RunWriter` writes it."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._ledger_files = folder.folder(LEDGER)
        self._montages = folder.folder(MONTAGES)

    def state(self) -> TrialState:
        """The state of the experiment."""
        names = {*(f"{STATES}/{name}" for name in self.folder.folder(STATES).names()), *self.folder.names()}
        for state, record in _RECORDS.items():
            if record in names:
                return state
        return TrialState.RUNNING if names else TrialState.PLANNED

    def has_states(self) -> bool:
        """Whether there are saved states, or parts of saved states, from which the experiment could continue."""
        return bool(self.folder.folder(STATES).names("iteration-*"))

    def reason(self) -> str | None:
        """The reason why the experiment has its state. None unless it has ended.

        It is `iterations`, `pool exhausted` or, if people label, a stopping rule if the experiment finished; the name
        of the scheduler if it was stopped; and the record of the failure if it failed.
        """
        state = self.state()
        if state is TrialState.FAILED:
            return self.error()
        end = self._read_end(_RECORDS[state]) if state.is_complete else None
        return None if end is None else str(end.get("reason"))

    def damage(self) -> list[str]:
        """What is wrong with a run that has ended: a line for each file that differs from what it was at the end.

        The list is empty for a run that has not ended, because such a run repairs itself, and for a run that an earlier
        version of raycal ended.
        """
        try:
            end = self._read_end(FINISHED) or self._read_end(STOPPED) or {}
        except InputError as error:
            return list(error.problems)
        where, files = self.folder.place, end.get("files")
        return [
            f"{where}/{name}: not as the experiment left it; put it back, or {self._removal}"
            for name in self._changed(files if isinstance(files, dict) else {})
        ]

    def error(self) -> str | None:
        """The record of a failure; None if there is no failure."""
        content = self.folder.read(ERROR)
        return None if content is None else content.decode(errors="replace")

    def config(self) -> ExperimentConfig:
        """The configuration of the experiment in this folder."""
        content = self.folder.read(CONFIG)
        if content is None:
            raise FileNotFoundError(f"{self.folder.place}/{CONFIG}")
        return ExperimentConfig.model_validate(yaml.safe_load(content))

    def results(self) -> list[IterationRecord]:
        """The records of results.jsonl, by iteration.

        Raises:
            InputError: A line was not written by raycal.
        """
        records = []
        for number, text in enumerate((self.folder.read(RESULTS) or b"").splitlines(), 1):
            line = self._object(f"{RESULTS}:{number}", text)
            if not line.keys() >= _READ_FROM_RESULTS:
                raise InputError(f"{self.folder.place}/{RESULTS}:{number}: raycal did not write this; {self._remedy}")
            records.append(cast(IterationRecord, line))
        return records

    def ledger(self) -> bytes:
        """The whole ledger as one Parquet file.

        Raises:
            InputError: One of its files is not a ledger of raycal.
        """
        names = by_iteration(self._ledger_files.names("iteration-*.parquet"))
        tables = []
        for name in names:
            try:
                tables.append(ledger.to_table(self._ledger_files.read(name) or b""))
            except ValueError as error:
                raise InputError(
                    f"{self.folder.place}/{LEDGER}/{name}: raycal did not write this; {self._remedy}"
                ) from error
        return ledger.joined(tables)

    def ledger_of(self, iteration: int) -> Sequence[Interaction]:
        """The interactions of one iteration; empty if the iteration has no ledger file."""
        content = self._ledger_files.read(ledger_name(iteration))
        return () if content is None else ledger.from_parquet(content)

    def montage(self, iteration: int, form: MontageForm = "png") -> bytes | None:
        """The montage of an iteration's clusters: a PNG with images or an HTML page with texts; None if there is
        none."""
        return self._montages.read(f"{iteration_name(iteration)}.{form}")

    def montages(self) -> list[str]:
        """The names of the montages, relative to the folder, by iteration."""
        names = [name for form in get_args(MontageForm) for name in self._montages.names(f"iteration-*.{form}")]
        return [f"{MONTAGES}/{name}" for name in by_iteration(names)]

    def start_time(self) -> int | None:
        """The time when the experiment first began, in milliseconds since 1970; None if it has not begun."""
        content = self.folder.read(STARTED)
        try:
            return None if content is None else int(json.loads(content)["time"])
        except (ValueError, TypeError, KeyError):  # The file is incomplete, or raycal did not write it.
            return None

    def environment(self) -> dict[str, Any]:
        """The environment that `write_environment` recorded; empty before it was recorded."""
        return self._object(ENVIRONMENT, self.folder.read(ENVIRONMENT) or b"{}")

    @property
    def _remedy(self) -> str:
        """What to do about a file that raycal did not write."""
        if self.folder.exists(PEOPLE):
            return self._removal
        return "move the folder away, and --resume runs the experiment again"

    @property
    def _removal(self) -> str:
        """What to do without a file that is lost. The advice is never to remove the answers of people."""
        where = self.folder.place
        if self.folder.exists(PEOPLE):
            return (
                f"move everything but {where}/{PEOPLE} away, and python -m raycal.annotate makes it again from the "
                "answers of people"
            )
        return f"remove {where} to run the experiment again"

    def _object(self, name: str, content: bytes) -> dict[str, Any]:
        """The content as a JSON object; raises InputError if the content is no JSON object."""
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise InputError(f"{self.folder.place}/{name}: raycal did not write this; {self._remedy}")
        return value

    def _changed(self, digests: Mapping[str, str]) -> list[str]:
        """The files that are missing or have other digests."""
        return [name for name, digest in digests.items() if self._digest(name) != digest]

    def _digest(self, name: str) -> str | None:
        """The digest of a file on disk. None if the file cannot belong to this folder."""
        if ".." in name.split("/"):
            return None
        try:
            return digest_of(self.folder.read(name) or b"")
        except InputError:  # The file is too large.
            return None

    def _read_end(self, name: str) -> dict[str, Any] | None:
        content = self.folder.read(name)
        if content is None:
            return None
        self._object(name, content)
        try:
            return unseal(content)
        except ValueError as error:
            where = self.folder.place
            raise InputError(f"{where}/{name}: damaged; put it back, or {self._removal}") from error


def ledger_name(iteration: int) -> str:
    """The name of the ledger file of an iteration."""
    return f"{iteration_name(iteration)}.parquet"
