"""`python -m raycal.report SWEEP_OR_DIR ...` writes the report of one sweep or several, from their folders alone."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from raycal.errors import InputError, StorageError
from raycal.output import INPUT_ERROR, exit_code_of
from raycal.output import run as run_command_line

if TYPE_CHECKING:
    from raycal.report.runs import Runs
    from raycal.storage.folder import Folder

PROG = "python -m raycal.report"
PORT, LAST_PORT = 8050, 65535

EPILOG = """\
examples:
  {prog} runs/quickstart
  {prog} sweeps/quickstart.yaml --storage runs --out /tmp/report
  {prog} runs/birds runs/more_birds --out /tmp/both
  {prog} runs/birds --serve

If trials are still running or have failed, the report covers the finished trials and says so. With --serve it also
draws the trials that are running, changes in the browser whenever an iteration has been saved, and writes no file.
Ctrl-C ends the server, with exit code 0, and does not disturb the sweep.

exit codes: 0 the report is written, 2 a mistake in the input
"""


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """Build the argument parser."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write the report of a sweep or of several together: a page, and figures and tables for a paper.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sweeps",
        metavar="SWEEP_OR_DIR",
        nargs="+",
        help="the folder of a sweep (<storage>/<sweep name>), or its YAML file; several sweeps get one report together",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="the folder to write to (default: report/ in the folder of the sweep; required with several sweeps)",
    )
    parser.add_argument(
        "--storage",
        metavar="DIR",
        default="runs",
        help="with a YAML file: the folder that holds the sweep's folder (default: runs)",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="write nothing; show the report in a browser on this machine, and update it while the sweep runs",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"with --serve: the port (default: {PORT}; 0 for any that is free)"
    )
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    options = parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _report(options), {StorageError: INPUT_ERROR})


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


def _report(options: argparse.Namespace) -> int:
    if options.serve:
        return _serve(options)
    if options.port is not None:
        raise InputError(f"--port {options.port}: only --serve has a port; add --serve")
    from raycal.report.runs import read_runs
    from raycal.storage.folder import Folder  # Imported here, so that --help stays fast.

    places = [_place(sweep, options.storage) for sweep in options.sweeps]
    if len(places) > 1 and options.out is None:
        raise InputError("--out: give a folder for a report of several sweeps, as it belongs to none of them alone")
    runs = read_runs(*places)
    out = Folder.at(places[0]).folder("report") if options.out is None else Folder.at(options.out)

    # This module is slow to import, so it is imported only if there is a report to write.
    from raycal.report.write import write_report

    try:
        written = write_report(runs, out)
    except OSError as error:
        raise InputError(f"--out {out.place}: {error.strerror or error}") from error
    _print(runs, out, written)
    return 0


def _serve(options: argparse.Namespace) -> int:
    """Serve the live page until Ctrl-C."""
    if options.out is not None:
        raise InputError(f"--out {options.out}: --serve writes no files; leave out one of the two")
    port = PORT if options.port is None else options.port
    if not 0 <= port <= LAST_PORT:
        raise InputError(f"--port {port}: should be from 0 to {LAST_PORT}")
    places = [_place(sweep, options.storage) for sweep in options.sweeps]

    from raycal.report.live import LiveReport  # This module is slow to import.
    from raycal.report.server import serve

    serve(
        LiveReport(places),
        port,
        announce=lambda address: print(f"live report: {address}  (Ctrl-C ends it)", flush=True),
    )
    print()  # A terminal shows the typed ^C on the line of the address, so a new line is begun.
    return 0


def _place(place: str, storage: str) -> str:
    """The sweep folder, from either its own path or the path of the sweep's YAML file."""
    if not place.endswith((".yaml", ".yml")):
        return place
    from raycal.config import load_sweep
    from raycal.experiment.build import REGISTRIES
    from raycal.storage.folder import Folder

    return Folder.at(storage).folder(load_sweep(place, REGISTRIES).name).uri


def _print(runs: "Runs", out: "Folder", written: Sequence[str]) -> None:
    """Print the warnings, the answer and the names of the written files."""
    for warning in runs.warnings:
        print(warning)
    from raycal.report.people.project import is_labeled_by_people  # Imported here, so that --help stays fast.
    from raycal.report.people.words import result_of_people
    from raycal.report.stats.answer import answer

    print(result_of_people(runs) if is_labeled_by_people(runs) else answer(runs))
    if runs.removed_words:
        print(runs.removed_words)
    for name in sorted(written, key=lambda name: ("/" in name, name)):
        print(f"{out.place}/{name}")


if __name__ == "__main__":
    run()
