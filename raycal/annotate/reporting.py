"""Writes the report of a project in a process of its own after each round, so that the page never waits for it.

`python -m raycal.annotate.reporting` is that process. It reads the folder of the project from standard input, because a
folder on a remote storage may be given with credentials, which must not be on a command line.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress

from raycal.people.price_words import expert_yaml
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

logger = logging.getLogger(__name__)

# The report leaves the processor to the server, the browser and the training whenever these need it.
NICENESS = 15
REPORT, PAGE = "report", "report.html"


class Reporter:
    """Keeps the report of a project up to date with its finished rounds, and prints what the new ones brought.

    Args:
        folder: The folder of the project.
        run_dir: The folder of its run.
        rounds_before: How many rounds were finished before this start of the server. Nothing is printed about them,
            although the model may learn again from their answers.
    """

    def __init__(self, folder: Folder, run_dir: RunDir, rounds_before: int = 0) -> None:
        self._folder, self._run_dir, self._rounds_before = folder, run_dir, rounds_before
        self._lock = threading.Lock()
        self._wanted = self._written = 0
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def update(self) -> None:
        """Begin to write the report in another process if a new round was finished, and return at once."""
        self._begin(1 + self._rounds_before)

    def _begin(self, fewest: int) -> None:
        """Begin to write the report unless it is written already, or fewer rounds than this are finished."""
        num_rounds = len(self._run_dir.results())
        with self._lock:
            if num_rounds < fewest or num_rounds <= self._wanted:
                return
            self._wanted = num_rounds
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="annotate-report", daemon=True)
                self._thread.start()

    def finish(self) -> str | None:
        """Wait until the report covers all finished rounds. While the model is still learning again from rounds that
        were finished before, their report stays as it is.

        Returns:
            Where the report is. None if no round is finished, or the report was not written.
        """
        self._begin(max(1, self._rounds_before))
        thread = self._thread
        if thread is not None:
            thread.join()
        return f"{self._folder.place}/{REPORT}/{PAGE}" if self._written else None

    def stop(self) -> None:
        """End the process that writes the report, if there is one. The files of the report are complete at every
        moment."""
        with self._lock:
            self._wanted = 0
            if self._process is not None:
                self._process.kill()

    def _write(self) -> None:
        """Write the report again and again, until it covers all finished rounds."""
        while True:
            with self._lock:
                wanted = self._wanted
                if wanted <= self._written:
                    self._thread = None
                    return
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "raycal.annotate.reporting"],
                    stdin=subprocess.PIPE,
                    start_new_session=True,  # so that Ctrl-C does not end this process, for which `finish` waits
                )
            order = {"folder": self._folder.uri, "rounds_before": self._rounds_before}
            self._process.communicate(json.dumps(order).encode())
            with self._lock:
                if self._process.returncode != 0:
                    self._wanted = self._written  # the report is tried again after the next round
                else:
                    self._written = wanted


def write_project_report(folder: Folder, rounds_before: int = 0) -> list[str]:
    """Write the report of a project unless it is up to date.

    Args:
        rounds_before: See `Reporter`.

    Returns:
        What to print: the result of the newest round, what it gained and whether to stop, and the prices of the team.
        Empty if the report is up to date, or if no round is new.
    """
    from raycal.report.freshness import is_up_to_date
    from raycal.report.people.project import read_projects
    from raycal.report.people.words import progress_words, result_words
    from raycal.report.runs import read_runs

    runs, report = read_runs(folder), folder.folder(REPORT)
    if report.exists(PAGE) and is_up_to_date(runs, report):
        return []
    from raycal.report.write import write_report  # imports matplotlib, which is slow

    write_report(runs, report)
    lines: list[str] = []
    for project in read_projects(runs):
        if len(project.rounds) <= rounds_before:
            continue
        lines += filter(None, [result_words(project), progress_words(project)])
        expert = None if project.prices is None else expert_yaml(project.prices)
        if expert is not None:
            lines.append(f"  to simulate this team in a sweep: {expert}")
    return lines


def main() -> int:
    """Write the report of the project that standard input names, as JSON."""
    with suppress(OSError):
        os.nice(NICENESS)
    try:
        order = json.loads(sys.stdin.read())
        lines = write_project_report(Folder.at(order["folder"]), order["rounds_before"])
    except Exception as error:  # the answers and rounds are stored, and `python -m raycal.report` shows the full error
        logger.warning("no report: %s: %s", type(error).__name__, error)
        return 1
    if lines:
        print(*lines, sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
