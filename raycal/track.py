"""`python -m raycal.track SWEEP_DIR`: sends those results of a sweep to MLflow that MLflow does not have yet."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from raycal.errors import InputError
from raycal.output import exit_code_of
from raycal.output import run as run_command_line

PROG = "python -m raycal.track"
DESCRIPTION = (
    "Send to MLflow the results of a sweep that it does not have yet. They are read from the sweep's folder alone."
)
OK, AWAY = 0, 1


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line. The exit code is 0 if MLflow has all results afterwards, 1 if some results are missing, and
    2 for a mistake in the input."""
    parser = argparse.ArgumentParser(prog=prog, description=DESCRIPTION)
    parser.add_argument("sweep_dir", metavar="SWEEP_DIR", help="the folder of a sweep: <storage>/<sweep name>")
    parser.add_argument(
        "--uri", help="URI of MLflow (default: MLFLOW_TRACKING_URI or, if not set, the sqlite file beside the folder)"
    )
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _track(options.sweep_dir, options.uri))


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


def _track(place: str, configured: str | None) -> int:
    from raycal.errors import counted
    from raycal.installed import need_mlflow
    from raycal.storage.folder import Folder
    from raycal.storage.sweep_dir import SweepDir
    from raycal.tracking import set_up_mlflow, tracking_uri

    sweep_dir = SweepDir(Folder.at(place))
    plan = sweep_dir.existing_plan()
    uri = tracking_uri(configured, sweep_dir)
    need_mlflow()
    set_up_mlflow()
    from raycal.report.for_mlflow import sweep_description
    from raycal.report.runs import read_runs
    from raycal.tracking.browse import how_to_browse
    from raycal.tracking.reach import check_tracking
    from raycal.tracking.recreate import recreate
    from raycal.tracking.uri import error_line, is_database, without_secrets

    away = check_tracking(uri)
    if away and is_database(uri):  # Without this limit, MLflow would try to connect for minutes.
        print(away, file=sys.stderr)
        return AWAY
    shown = without_secrets(uri)
    try:
        description = sweep_description(read_runs(sweep_dir.folder))
    except InputError as error:  # Even damaged results are sent, as they are.
        print(f"MLflow gets no description of the sweep: {error}", file=sys.stderr)
        description = ""
    with sweep_dir.lock():
        try:
            pages = recreate(uri, sweep_dir, plan, description)
        except Exception as error:  # Any failure of the server becomes one line.
            print(f"MLflow at {shown}: {error_line(error, uri)}", file=sys.stderr)
            return AWAY
    are = "is" if len(plan.experiments) == 1 else "are"
    print(f"{plan.sweep}: {counted(len(plan.experiments), 'trial')} {are} in MLflow at {shown}")
    print(f"browse  {how_to_browse(uri, pages)}")
    return OK


if __name__ == "__main__":
    run()
