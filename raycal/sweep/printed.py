"""The lines that a sweep prints before its trials run and after they have ended."""

import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

from raycal.errors import counted
from raycal.monitor.summary import print_failures, print_summary
from raycal.sweep.job import Job
from raycal.sweep.preflight import describe
from raycal.tracking.browse import how_to_browse
from raycal.tracking.schema import missing_folder
from raycal.tracking.untracked import why_untracked
from raycal.tracking.uri import sqlite_path, without_secrets

if TYPE_CHECKING:
    from raycal.report.answered import AnsweredSweep

MAX_LINE = 120  # The width of printed paragraphs in a terminal that is wider than this.

logger = logging.getLogger(__name__)


def print_start(job: Job) -> None:
    """Print the number of trials, the number of trials that are left to run, the folder of the results, and the data
    that is read."""
    print(
        f"{job.sweep.name}: {counted(job.num_trials, 'trial')}, {job.num_left} to run\n"
        f"  folder  {job.sweep_dir.folder.place}"
    )
    if job.tracking_uri is not None:
        print(f"  MLflow  {without_secrets(job.tracking_uri)}", *_notes_on(job.tracking_uri, job), sep="\n          ")
    elif job.request.track:
        print(f"  MLflow  {why_untracked(job.sweep_dir, job.sweep.tracking.uri)}")
    print(*(f"  {line}" for line in (*describe(job.infos.values()), *job.warnings())), sep="\n", flush=True)


def print_results(job: Job, sweep: "AnsweredSweep", pages: Mapping[str, str]) -> None:
    """Print the results, the answer, the trials that did not finish, and where to find more.

    Args:
        job: The job whose trials have ended.
        sweep: The runs of the job's sweep, with the answer.
        pages: The paths of the sweep's views in the MLflow UI, by the titles of the views; empty if MLflow has nothing
            of the sweep.
    """
    print_summary(job.sweep_dir, job.selected)
    print_answer(sweep)
    print_failures(job.sweep_dir, job.unfinished(), job.printed_labels)
    print(f"folder  {job.sweep_dir.folder.place}", flush=True)
    if job.tracking_uri is not None:
        print(f"MLflow  {without_secrets(job.tracking_uri)}", flush=True)
        if browse := how_to_browse(job.tracking_uri, pages):
            print(f"browse  {browse}", flush=True)


def print_answer(sweep: "AnsweredSweep") -> None:
    """Print which strategy won, by how much and why, in the words of the report.

    Like the report, the answer is about all trials of the plan. A terminal gets wrapped lines, and a log file one line
    per paragraph. An error is logged and does not fail the sweep.
    """
    from raycal.report.stats.answer import paragraphs

    try:
        texts = paragraphs(sweep.answers)
    except Exception as error:  # The runs are complete, and `python -m raycal.report` shows the full error.
        logger.warning("no answer: %s: %s", type(error).__name__, error)
        return
    for paragraph in texts:
        lines = fill(paragraph, _line_width(), break_on_hyphens=False) if sys.stdout.isatty() else paragraph
        print(lines, end="\n\n", flush=True)


def _line_width() -> int:
    return max(1, min(MAX_LINE, get_terminal_size().columns))


def _notes_on(uri: str, job: Job) -> Iterator[str]:
    """Yield notes to print about the tracking URI at the start."""
    path = sqlite_path(uri)
    folder = None if path is None else missing_folder(path)
    if folder is not None and not Path(job.sweep_dir.folder.path).is_relative_to(folder):
        yield f"the folder {folder} does not exist yet and is created now"
    if job.away:
        yield f"{job.away}; the runs are kept in the folder above, and what is missing is sent when the server answers"
