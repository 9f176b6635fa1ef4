"""`python -m raycal.doctor`: whether a sweep could run here, a line each, and what to do where not."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from raycal.errors import InputError
from raycal.options import add_places
from raycal.output import run as run_command_line

OK, PROBLEMS, INPUT_ERROR = 0, 1, 2

EPILOG = """\
examples:
  python -m raycal.doctor
  python -m raycal.doctor sweeps/quickstart.yaml --storage s3://bucket/runs --address 10.0.0.1:6379

exit codes: 0 no problem, 1 problems, 2 a mistake in the input
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m raycal.doctor",
        description="Look whether a sweep could run here: versions, Ray, GPUs, disks, storage, tracking.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="SWEEP.yaml", nargs="?", help="look at its dataset, weights and tracking, too")
    add_places(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 without a problem, 1 with one, 2 for a mistake in the input."""
    options = parser().parse_args(arguments)
    try:
        from raycal.doctor.examine import examine  # after --help

        findings = []
        for finding in examine(options.sweep, options.storage, options.address):
            print(finding, flush=True)
            findings.append(finding)
    except InputError as error:
        print(error, file=sys.stderr)
        return INPUT_ERROR
    problems = sum(finding.status == "problem" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    print(f"\n{len(findings)} checks, {problems} problems, {warnings} warnings")
    return PROBLEMS if problems else OK


def run() -> NoReturn:
    """Run this process's command line and end the process, whatever a check still waits for."""
    run_command_line(main)


if __name__ == "__main__":
    run()
