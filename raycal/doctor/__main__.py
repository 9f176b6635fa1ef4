"""`python -m raycal.doctor`: checks whether a sweep could run here, and says how to fix what is wrong."""

import argparse
from collections.abc import Sequence
from functools import partial

from raycal.output import exit_code_of
from raycal.output import run as run_command_line
from raycal.sweep.options import add_overrides, add_places

OK, PROBLEMS = 0, 1

PROG = "python -m raycal.doctor"

EPILOG = """\
examples:
  {prog}
  {prog} sweeps/quickstart.yaml --storage s3://bucket/runs --address 10.0.0.1:6379
  {prog} birds.yaml --set dataset.root=/data/birds

exit codes: 0 no problem, 1 problems, 2 a mistake in the input
"""


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Check whether a sweep can run here: versions, Ray, GPUs, disks, storage, tracking.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sweep", metavar="SWEEP.yaml", nargs="?", help="also check the dataset, weights and tracking of this sweep file"
    )
    add_overrides(parser)
    add_places(parser)
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line. The exit code is 0 if there is no problem, 1 if there is one, and 2 for a mistake in the
    input."""
    options = parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _examine(options))


def _examine(options: argparse.Namespace) -> int:
    """Print the findings one by one, and then the numbers of checks, problems and warnings."""
    from raycal.doctor.examine import examine  # The imports are late, so that --help is fast.

    findings = []
    for finding in examine(options.sweep, options.storage, options.address, options.overrides):
        print(finding, flush=True)
        findings.append(finding)
    problems = sum(finding.status == "problem" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    print(f"\n{len(findings)} checks, {problems} problems, {warnings} warnings")
    return PROBLEMS if problems else OK


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


if __name__ == "__main__":
    run()
