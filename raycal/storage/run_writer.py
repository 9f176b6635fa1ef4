"""Writes the folder of one experiment, in an order in which a crash at any moment loses no committed iteration."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import yaml

from raycal.algorithm.records import IterationResult
from raycal.config import ExperimentConfig
from raycal.storage import ledger
from raycal.storage.checkpoints import SavedState, StateDir, by_iteration, iteration_name, iteration_of
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.out_of_fold import OUT_OF_FOLD, OutOfFold, out_of_fold_file, out_of_fold_name
from raycal.storage.predictions import PREDICTIONS, HoldoutPredictions, predictions_name, to_parquet
from raycal.storage.results import IterationRecord, iteration_record
from raycal.storage.run_dir import (
    CONFIG,
    ENVIRONMENT,
    ERROR,
    FINISHED,
    LEDGER,
    PEOPLE,
    RESULTS,
    STARTED,
    STATES,
    STOPPED,
    MontageForm,
    RunDir,
    TrialState,
    ledger_name,
)
from raycal.storage.seal import digest_of, seal
from raycal.storage.sweep_dir import SweepDir

logger = logging.getLogger(__name__)


class RunWriter(RunDir):
    """The folder of one experiment, to be written by one process at a time.

    An iteration is committed in the order predictions, ledger file, state, results line. The iteration counts once its
    state is saved: after a crash, `begin` drops predictions and a ledger file without a state, and rewrites the results
    lines from the state.

    Args:
        folder: The folder of the experiment.
        lease: The ownership of the sweep folder, which is checked before each commit.
            None means that the caller has made sure that it may write.

    Raises:
        TakenOverError: Raised by every method that writes results if the sweep has another owner.
    """

    def __init__(self, folder: Folder, lease: Lease | None = None) -> None:
        super().__init__(folder)
        self._lease = lease
        self._committed: _Committed | None = None
        self._states = StateDir(folder.folder(STATES))
        self._predictions, self._out_of_fold = folder.folder(PREDICTIONS), folder.folder(OUT_OF_FOLD)

    @classmethod
    def of(cls, sweep_dir: SweepDir, experiment_id: str) -> Self:
        """The folder of an experiment of a sweep, written under the lease of the sweep folder."""
        return cls(sweep_dir.folder.folder(experiment_id), sweep_dir.lease)

    def begin(self, config: ExperimentConfig) -> SavedState | None:
        """Start or continue the experiment: write its configuration, and repair what a crash left.

        The folder of an experiment that finished or was stopped is not changed.

        Returns:
            The newest complete state, from which the experiment continues. None if there is no complete state.
        """
        self._check_lease()
        if self.state().is_complete:
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
        for folder in (self._ledger_files, self._montages, self._predictions, self._out_of_fold):
            for name in by_iteration(folder.names("iteration-*")):
                if iteration_of(name) > last:
                    folder.remove(name)
        return state

    def commit(
        self,
        result: IterationResult,
        model: bytes,
        predictions: HoldoutPredictions | None = None,
        out_of_fold: OutOfFold | None = None,
    ) -> IterationRecord:
        """Save an iteration, in place of an earlier commit of the same iteration; return its record.

        Args:
            result: The iteration.
            model: The model after the iteration.
            predictions: What this model predicts for the test samples, if people label. None means that no predictions
                are kept.
            out_of_fold: What models without the labels of D^L predict for its samples. None means that nothing is kept.
        """
        self._check_lease()
        before = self._read_committed() or _Committed([], {})
        line, name, content = iteration_record(result), ledger_name(result.iteration), ledger.to_parquet(result.ledger)
        lines = [*(old for old in before.lines if old["iteration"] < result.iteration), line]
        earlier = {old: digest for old, digest in before.ledger.items() if iteration_of(old) < result.iteration}
        self._committed = _Committed(lines, earlier | {name: digest_of(content)})
        if predictions is not None:
            self._predictions.write(predictions_name(result.iteration), to_parquet(predictions))
        if out_of_fold is not None:
            self._out_of_fold.write(out_of_fold_name(result.iteration), out_of_fold_file(out_of_fold))
        self._ledger_files.write(name, content)
        self._states.save(result, model, lines, self._committed.ledger)
        # A process that was suspended while another one became the owner would remove the lines of the new owner.
        self._check_lease()
        self._write_results(lines)
        return line

    def finish(self, reason: str) -> None:
        """Mark the experiment as finished; its models are removed."""
        self._end(FINISHED, {"reason": reason})

    def reopen(self) -> None:
        """Let a finished experiment go on. Its models are removed, so the next `begin` starts with the first iteration,
        which needs answers of people that are still there."""
        self._check_lease()
        self.folder.remove(FINISHED)

    def stop(self, reason: str) -> None:
        """Mark the experiment as stopped early, by `asha` for example; its models are removed.

        A stopped experiment needs no more work but is not finished. If the experiment has finished, it stays finished.
        """
        if self.state() is TrialState.FINISHED:
            return
        committed = self._read_committed()
        lines = self.results() if committed is None else committed.lines
        self._end(STOPPED, {"reason": reason, "iteration": lines[-1]["iteration"] if lines else None})

    def fail(self, message: str) -> None:
        """Record why the experiment failed; a later start removes the record.

        On a full disk the reason is only logged, because a failure to record it must not stop other experiments.
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
        """Remove the models that a crash at the end of the experiment left behind."""
        if self.state().is_complete:
            self._states.prune(0)

    def write_montage(self, iteration: int, content: bytes, form: MontageForm = "png") -> None:
        """Write the montage of an iteration's clusters: a PNG with images or an HTML page with texts."""
        self._montages.write(f"{iteration_name(iteration)}.{form}", content)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Record device, number format, threads and versions."""
        self.folder.write(ENVIRONMENT, json.dumps(environment, indent=1).encode())

    def _end(self, name: str, end: Mapping[str, Any]) -> None:
        """Record the end with the digests of all files. For a committed file, this is the digest that its commit
        recorded.

        Files that people's answers change have no digest, because people may go on labeling after the end.
        """
        self._check_lease()
        committed = self._read_committed()
        if committed is not None:
            self._write_results(committed.lines)
        known = {f"{LEDGER}/{file}": digest for file, digest in committed.ledger.items()} if committed else {}
        others = [
            other
            for other in self.folder.all_names()
            if not other.startswith((f"{STATES}/", f"{PEOPLE}/")) and other not in (ERROR, STARTED)
        ]
        digests = {other: known.get(other) or digest_of(self.folder.read(other) or b"") for other in others}
        self.folder.write(name, seal({**end, "files": digests | known}))
        self._states.prune(0)

    def _newest(self) -> SavedState | None:
        """The newest complete state whose ledger files are complete, too."""
        for state in self._states.whole():
            changed = self._changed({f"{LEDGER}/{name}": digest for name, digest in state.ledger.items()})
            if not changed:
                return state
            logger.warning("%s/%s: damaged; its iteration will run again", self.folder.place, changed[0])
        return None

    def _read_committed(self) -> "_Committed | None":
        """The committed lines and ledger digests, from memory or, without them, from the newest state. None if there is
        no state."""
        if self._committed is not None:
            return self._committed
        state = self._newest()
        return None if state is None else _Committed(state.results, state.ledger)

    def _write_results(self, lines: list[IterationRecord]) -> None:
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if self.folder.read(RESULTS) != content:
            self.folder.write(RESULTS, content)

    def _check_lease(self) -> None:
        if self._lease is not None:
            self._lease.check()


@dataclass(frozen=True, slots=True)
class _Committed:
    """The results lines of a run, and the digests of its ledger files by name."""

    lines: list[IterationRecord]
    ledger: dict[str, str]
