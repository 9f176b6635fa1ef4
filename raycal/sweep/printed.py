"""The lines that a sweep prints before its trials run and after they have ended."""

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill

from raycal.config.labels import counted
from raycal.monitor.summary import print_failures, print_summary
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep.job import Job
from raycal.sweep.preflight import describe
from raycal.tracking.databricks import databricks_page, is_databricks
from raycal.tracking.schema import missing_folder
from raycal.tracking.untracked import why_untracked
from raycal.tracking.uri import has_secrets, is_server, sqlite_path, with_placeholders, without_secrets

MAX_LINE = 120  # width of the printed paragraphs in a terminal that is wider

logger = logging.getLogger(__name__)


def print_start(job: Job) -> None:
    """Print how many trials there are and are left to run, where the results go, and which data is read."""
    print(
        f"{job.sweep.name}: {counted(job.num_trials, 'trial')}, {job.num_left} to run\n"
        f"  folder  {job.sweep_dir.folder.place}"
    )
    if job.tracking_uri is not None:
        print(f"  MLflow  {without_secrets(job.tracking_uri)}", *_notes_on(job.tracking_uri, job), sep="\n          ")
    elif job.request.track:
        print(f"  MLflow  {why_untracked(job.sweep_dir, job.sweep.tracking.uri)}")
    print(*(f"  {line}" for line in (*describe(job.infos.values()), *job.warnings())), sep="\n", flush=True)


def print_results(job: Job, page: str) -> None:
    """Print the results, the answer, the trials that did not finish, and where to find more.

    Args:
        job: The job whose trials have ended.
        page: The path of the sweep's charts in the MLflow UI; empty if MLflow has nothing of the sweep.
    """
    print_summary(job.sweep_dir, job.selected)
    print_answer(job.sweep_dir)
    print_failures(job.sweep_dir, job.unfinished(), job.printed_labels)
    print(f"folder  {job.sweep_dir.folder.place}", flush=True)
    if job.tracking_uri is not None:
        print(f"MLflow  {without_secrets(job.tracking_uri)}", flush=True)
        if browse := how_to_browse(job.tracking_uri, page):
            print(f"browse  {browse}", flush=True)


def print_answer(sweep_dir: SweepDir) -> None:
    """Print which strategy won, by how much and why, in the words of the report.

    Like the report, the answer is about all trials of the plan. A terminal gets wrapped lines, and a log file one line
    per paragraph. An error is logged and does not fail the sweep.
    """
    from raycal.report.runs import read_runs
    from raycal.report.stats.answer import answer

    try:
        text = answer(read_runs(sweep_dir.folder))
    except Exception as error:  # the runs are complete, and `python -m raycal.report` shows the full error
        logger.warning("no answer: %s: %s", type(error).__name__, error)
        return
    for paragraph in text.splitlines():
        lines = fill(paragraph, _line_width(), break_on_hyphens=False) if sys.stdout.isatty() else paragraph
        print(lines, end="\n\n", flush=True)


def _line_width() -> int:
    return max(1, min(MAX_LINE, get_terminal_size().columns))


def how_to_browse(uri: str, page: str) -> str:
    """How to view the runs in a browser: the address on a server, or the command that serves a database.

    Args:
        uri: The tracking URI.
        page: The path of the sweep's charts in the MLflow UI; empty if MLflow has nothing of the sweep.

    Returns:
        Lines to print; empty if there is nothing to view.
    """
    if not page:
        return ""
    if is_databricks(uri):
        return databricks_page(uri, page)
    if is_server(uri):
        return without_secrets(uri).rstrip("/") + page
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = shlex.join([str(python), "-m", "mlflow", "ui", "--backend-store-uri", with_placeholders(uri)])
    if has_secrets(uri):  # do not print the password; use the environment variable if it holds the URI
        if os.environ.get("MLFLOW_TRACKING_URI", "").strip() == uri:
            command = command.replace(shlex.quote(with_placeholders(uri)), '"$MLFLOW_TRACKING_URI"')
        else:
            command += (
                "\n        with your own in place of what is in capitals, as in tracking.uri: passwords are not printed"
            )
    return f"{command}\n        then open http://127.0.0.1:5000{page}"


def _notes_on(uri: str, job: Job) -> Iterator[str]:
    """Yield notes to print about the tracking URI at the start."""
    path = sqlite_path(uri)
    folder = None if path is None else missing_folder(path)
    if folder is not None and not Path(job.sweep_dir.folder.path).is_relative_to(folder):
        yield f"the folder {folder} is not there yet, and is made now"
    if job.away:
        yield f"{job.away}; the runs are kept in the folder above, and what is missing is sent when it answers"
