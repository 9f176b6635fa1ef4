"""Sends the run folders to MLflow from one thread of the process that drives the sweep.

Because of the one thread, a trial never waits for a tracking server, and no second writer can corrupt a new sqlite
file. Data that could not be sent stays in the run folders for the next attempt.
"""

import logging
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from raycal.config import ExperimentConfig
from raycal.errors import InputError, TakenOverError
from raycal.signals import seconds_to_close
from raycal.storage.run_dir import TrialState
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking.failures import is_lasting, quiet_mlflow
from raycal.tracking.reach import START_SECONDS, reach
from raycal.tracking.sent import pages_if_sent, write_record
from raycal.tracking.uri import error_line, is_database, without_secrets

if TYPE_CHECKING:
    from raycal.tracking.projection import Projection

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
CLOSE_SECONDS = 60.0
UNSAID_SECONDS = 2.0  # A wait at the end that is longer than this is announced in a printed line.
# Attempts to reach a server end quickly, because the thread tries again later and MLflow's own retries take minutes.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Without this setting, MLflow prints two lines for each run that ends on a server.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def set_up_mlflow() -> None:
    """Set the environment variables that MLflow reads at import. Variables that the user has set stay as they are."""
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)


class Tracker(Thread):
    """Sends new data of the run folders, and retries after a failure.

    Args:
        experiments: The experiments of the sweep, by id; the run of each is a child of the sweep's run.

    Attributes:
        is_known_away: Whether the user already knows that nothing can be sent now and needs no warning about it.
        again: The command that sends the remaining data later.
    """

    is_known_away = False
    again = "the same command with --resume"

    def __init__(self, uri: str, sweep_dir: SweepDir, sweep: str, experiments: Mapping[str, ExperimentConfig]) -> None:
        super().__init__(name="raycal-tracking", daemon=True)
        quiet_mlflow()
        self.uri = uri
        self._sweep_dir, self._sweep, self._experiments = sweep_dir, sweep, experiments
        self._projection: Projection | None = None
        self._is_outdated = False
        self._unsent: dict[str, None] = {}
        self._sending: str | None = None
        self._found = False
        self._lock, self._wake = Lock(), Event()
        self._final_status: str | None = None
        self._description = ""
        self._known_pages: dict[str, str] | None = None
        self._all_sent = False
        self._has_given_up = False

    def changed(self, experiment_id: str) -> None:
        """Note that the run folder of this experiment has new data."""
        with self._lock:
            self._unsent[experiment_id] = None
        self._wake.set()

    def describe(self, text: str) -> None:
        """Set the description that the sweep's run gets at its end, in Markdown."""
        self._description = text

    def close(self, status: str) -> None:
        """Send the remaining data, and end the sweep's run as `FINISHED`, `FAILED` or `KILLED`. Wait for at most a
        minute.

        A tracker that was not started does this, too, unless a record says that MLflow has everything already.
        """
        self._final_status = status
        if self.ident is None:
            self._known_pages = pages_if_sent(self._sweep_dir.folder, self.uri, status, self._description)
            if self._known_pages is not None:
                return
            self.start()
        self._wake.set()
        seconds = seconds_to_close(CLOSE_SECONDS)
        self.join(min(seconds, UNSAID_SECONDS))
        if self.is_alive() and seconds > UNSAID_SECONDS:
            print(f"sending to MLflow (up to {seconds:.0f} s)", flush=True)
            self.join(seconds - UNSAID_SECONDS)
        if not self._all_sent and not self._has_given_up:
            logger.warning(
                "MLflow at %s did not take everything; it is all in %s, and %s sends it",
                without_secrets(self.uri),
                self._sweep_dir.folder.place,
                self.again,
            )

    @property
    def backlog(self) -> int:
        """The number of experiments with data that MLflow does not have yet."""
        with self._lock:
            return len(self._unsent.keys() | {self._sending} - {None})

    @property
    def pages(self) -> dict[str, str]:
        """The paths of the sweep's views in the MLflow UI, by title; empty while MLflow has nothing of the sweep."""
        if self._known_pages is not None:
            return self._known_pages
        return {} if self._projection is None else self._projection.pages

    def run(self) -> None:
        """Send at once, after every change, and some seconds after a failure, until the tracker is closed."""
        set_up_mlflow()
        warned = self.is_known_away
        while not self._all_sent:
            final_status = self._final_status
            try:
                self._send(final_status)
                warned = False
            except TakenOverError:
                return  # The runs now belong to the process that took over the sweep.
            except Exception as error:  # No failure of a server may end the sweep.
                self._is_outdated = True  # Somebody may have deleted runs in MLflow.
                if is_lasting(error):
                    self._give_up(error)
                    return
                if not warned:
                    logger.warning("MLflow at %s: %s; trying again", *self._shown(error))
                warned = True
            if final_status is not None:
                return
            self._wake.wait(RETRY_SECONDS if warned else None)
            self._wake.clear()

    def _give_up(self, error: Exception) -> None:
        """Warn once that nothing more is sent, because the same request can never succeed."""
        self._has_given_up = True
        logger.warning(
            "MLflow at %s: %s; nothing more is sent. Correct this, and python -m raycal.track %s sends everything",
            *self._shown(error),
            shlex.quote(self._sweep_dir.folder.place),
        )

    def _shown(self, error: Exception) -> tuple[str, str]:
        return without_secrets(self.uri), error_line(error, self.uri)

    def _send(self, final_status: str | None) -> None:
        from raycal.tracking.projection import Projection

        self._sweep_dir.check_owner()
        if not self._found:
            self._find()
        if self._projection is None or self._is_outdated:
            if is_database(self.uri):
                # This check fails quickly, whereas MLflow would try to connect for minutes.
                reach(self.uri, START_SECONDS)
            self._projection = Projection(self.uri, self._sweep_dir, self._sweep)
            self._is_outdated = False
        while (experiment_id := self._next()) is not None:
            self._sweep_dir.check_owner()
            try:
                self._projection.send(experiment_id, self._experiments[experiment_id])
            except Exception:
                with self._lock:  # The queue is emptied from its end, so this experiment is retried last.
                    self._unsent = {experiment_id: None} | self._unsent
                raise
            finally:
                self._sending = None
        if final_status is not None:
            if self._description:
                self._projection.describe(self._description)
            self._projection.end(final_status)
            self._all_sent = True
            with suppress(OSError, InputError):  # Without the record, the next start sends again.
                write_record(self._sweep_dir.folder, self.uri, final_status, self._description, self.pages)

    def _find(self) -> None:
        """Queue all experiments that have begun, because an earlier start may not have sent them completely."""
        begun = [
            key for key in list(self._experiments) if self._sweep_dir.run_dir(key).state() is not TrialState.PLANNED
        ]
        with self._lock:
            self._unsent = dict.fromkeys(begun) | self._unsent
        self._found = True

    def _next(self) -> str | None:
        """Take the next experiment with data to send; None if no experiment has any."""
        with self._lock:
            self._sending = self._unsent.popitem()[0] if self._unsent else None
            return self._sending
