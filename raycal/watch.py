"""`raycal watch` or `python -m raycal.watch`: shows a sweep while it runs, with one line per trial. The command reads
nothing but the folder of the sweep."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from raycal.errors import InputError
from raycal.output import exit_code_of
from raycal.output import run as run_command_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from raycal.monitor.sweep_view import SweepView, TrialView

PROG = "python -m raycal.watch"
DESCRIPTION = (
    "Show a sweep while it runs, from its folder alone: a line per trial with its state, accuracy and time left."
)
EPILOG = """\
examples:
  {prog} runs/quickstart
  {prog} s3://bucket/runs/birds --every 30

On a terminal the command keeps a table up to date; into a pipe or a file it writes a line for each change.
The command ends when every trial has ended. Ctrl-C ends it at once and does not disturb the sweep.

exit codes: 0 all trials finished, 1 some failed, 2 a mistake in the input
"""
OK, FAILED = 0, 1
HEADER_AND_FOOTER = 6  # The table's frame, its header and the last line take this many lines of the terminal.


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep_dir", metavar="SWEEP_DIR", help="the folder of a sweep: <storage>/<sweep name>")
    parser.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS", help="seconds between two updates (default: 2)"
    )
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _watch(options.sweep_dir, options.every))


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


def _watch(place: str, every: float) -> int:
    from raycal.monitor.sweep_view import SweepView
    from raycal.storage.folder import Folder
    from raycal.storage.sweep_dir import SweepDir

    if not every > 0:
        raise InputError(f"--every: {every:g} is not a positive number of seconds")
    view = SweepView(SweepDir(Folder.at(place)))
    trials = _draw(view, every) if sys.stdout.isatty() else _print_changes(view, every)
    return FAILED if any(trial.state == "failed" for trial in trials) else OK


def _looks(view: "SweepView", every: float) -> "Iterator[list[TrialView]]":
    """Yield the state of the trials until all trials have ended."""
    while True:
        trials = view.trials()
        yield trials
        if all(trial.state.has_ended for trial in trials):
            return
        time.sleep(every)


def _print_changes(view: "SweepView", every: float) -> "list[TrialView]":
    """Print a line for each trial that has begun, and another line whenever a trial has a new iteration or a new
    state."""
    from raycal.monitor.trial_lines import line, summary

    printed: dict[str, str] = {}
    trials: list[TrialView] = []
    for trials in _looks(view, every):
        is_first = not printed
        if is_first:
            print(f"{view.name}: {summary(trials)}", flush=True)
        for trial in trials:
            change = f"{trial.state_word} {len(trial.records)}"
            if printed.get(trial.experiment_id) != change and not (is_first and trial.state == "planned"):
                print(line(trial), flush=True)
            printed[trial.experiment_id] = change
    print(f"{view.name}: {summary(trials)}", flush=True)
    return trials


def _draw(view: "SweepView", every: float) -> "list[TrialView]":
    """Draw a table that follows the sweep. The last table stays on the screen."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    trials: list[TrialView] = []
    with Live(console=console, auto_refresh=False) as live:
        for trials in _looks(view, every):
            live.update(table(view.name, trials, console), refresh=True)
    return trials


def table(name: str, trials: "Sequence[TrialView]", console: "Console") -> "Table":
    """A table of as many trials as fit on the terminal: first the running trials, then the failed ones."""
    from rich import box
    from rich.table import Table

    from raycal.monitor.trial_lines import COLUMNS, by_urgency, cells, summary

    shown = by_urgency(trials)[: max(1, console.height - HEADER_AND_FOOTER)]
    more = len(trials) - len(shown)
    drawn = Table(
        box=box.SIMPLE_HEAD,
        caption=f"{name}: {summary(trials)}" + (f" ({more} not shown)" if more else ""),
        caption_justify="left",
    )
    for title in COLUMNS:
        drawn.add_column(title, overflow="ellipsis", no_wrap=True)
    for trial in shown:
        drawn.add_row(*cells(trial))
    return drawn


if __name__ == "__main__":
    run()
