"""`python -m raycal.sweep SWEEP.yaml` runs a sweep, on Ray or in this process."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from raycal.errors import StorageError, TakenOverError
from raycal.output import exit_code_of
from raycal.output import run as run_command_line
from raycal.signals import catch_signals, exit_code, is_received
from raycal.sweep.options import add_overrides, add_places

FAILED = 1

PROG = "python -m raycal.sweep"

EPILOG = """\
examples:
  {prog} sweeps/quickstart.yaml --dry-run
  {prog} sweeps/quickstart.yaml --only '*-random-s0-*' --local
  {prog} sweeps/paper_cifar10.yaml --set training.learning_rate=1e-3 --set 'grid.seed=[0,1]' --resume

exit codes: 0 all trials finished, 1 some failed, 2 a mistake in the input, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP
"""


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """Build the argument parser."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Compare annotation strategies: one trial per combination of the sweep file's grid.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="SWEEP.yaml", help="the sweep file")
    parser.add_argument(
        "--dry-run", action="store_true", help="print every trial and the estimated cost, and start nothing"
    )
    parser.add_argument(
        "--price",
        metavar="USD",
        help="with --dry-run: your price for an hour of one GPU, or 'clouds' to list prices of some cloud machines",
    )
    parser.add_argument(
        "--bench",
        metavar="FILE",
        help="with --dry-run: the speed of your GPU, from a file that raycal.bench --gpu --json FILE wrote",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue a sweep that was started before, or extend it: only new and unfinished trials run",
    )
    parser.add_argument("--local", action="store_true", help="run one trial after another in this process, without Ray")
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        action="append",
        default=[],
        help="run the trials whose id or label matches, such as '*-random-s0-*' or 'random s0' (--dry-run lists both); "
        "may be given several times, to run the trials that match any of the patterns",
    )
    add_overrides(parser)
    add_places(parser)
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    options = parser(prog).parse_args(arguments)
    catch_signals()
    try:
        from raycal.sweep.command import run_command  # Imported here, so that --help stays fast.

        return exit_code_of(lambda: run_command(options), {TakenOverError: FAILED})
    except StorageError as error:
        print(f"{error}; the same command with --resume continues", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return _interrupted()
    except Exception:
        if not is_received():
            raise
        return _interrupted()  # Child processes get the signal too, and their failure caused this exception.


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


def _interrupted() -> int:
    print("\ninterrupted; the same command with --resume continues", file=sys.stderr, flush=True)
    return exit_code()


if __name__ == "__main__":
    run()
