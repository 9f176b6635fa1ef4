"""`python -m raycal.annotate FOLDER` opens a page on which people label images or texts, while a model learns from
them."""

import argparse
from collections.abc import Sequence
from functools import partial

from raycal.errors import InfrastructureError, StorageError
from raycal.output import exit_code_of
from raycal.output import run as run_command_line
from raycal.sweep.options import add_overrides

FAILED = 1

PROG = "python -m raycal.annotate"

EPILOG = """\
examples:
  {prog} ~/birds                                  # a folder of images; writes the project file ~/birds.yaml
  {prog} birds.yaml --set interactions_per_iteration=50
  {prog} birds.yaml --invite ana                  # prints a link for a second person
  {prog} birds.yaml --export ~/birds-labeled      # the labels, the images in class folders, and the model
  {prog} birds.yaml --prices                      # what an answer costs, for the sweep file of a simulation
  {prog} birds.yaml --advise                      # simulates the team, and says which strategy saves it time

After each round, and at the end, the report of the project is written into its folder.

exit codes: 0 ended well, 1 failed, 2 a mistake in the input, 130 Ctrl-C, 143 SIGTERM
The same command continues a project that was stopped.
"""


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """Build the argument parser."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Label images or texts in a browser, single ones and whole clusters, while a model learns.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("project", metavar="FOLDER | PROJECT.yaml", help="a folder of images, or a project file")
    add_overrides(parser, has_grid=False)
    parser.add_argument(
        "--storage",
        metavar="DIR",
        default="runs",
        help="local folder or URI for the answers and models (default: runs)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDR",
        help="train on this Ray cluster, such as 'auto' (default: the cluster of the Ray job that runs this command, "
        "or no Ray)",
    )
    parser.add_argument("--export", metavar="DIR", help="write the labels and the model into this folder, and end")
    parser.add_argument(
        "--prices",
        action="store_true",
        help="print what an answer has cost so far, as YAML for the simulation of such a team, and end",
    )
    parser.add_argument(
        "--advise",
        action="store_true",
        help="simulate this team on samples of its pool, through Ray, print what to change in the next round, and end",
    )
    parser.add_argument(
        "--local", action="store_true", help="with --advise: run the simulations in this process, without Ray"
    )
    parser.add_argument("--invite", metavar="NAME", help="print a link with which this person can label too, and end")
    parser.add_argument("--revoke", metavar="NAME", help="make the link of this person invalid, and end")
    where = parser.add_argument_group("where the page is served")
    where.add_argument(
        "--host",
        metavar="HOST",
        default="127.0.0.1",
        help="the host name or IP address to listen at (default: only this machine can open the page)",
    )
    where.add_argument("--port", metavar="PORT", type=int, help="the port (default: 8700, or the next free one)")
    where.add_argument("--tls-cert", metavar="FILE", help="the TLS certificate, if other machines open the page")
    where.add_argument("--tls-key", metavar="FILE", help="the private key of the certificate")
    where.add_argument("--behind-proxy", action="store_true", help="say that a reverse proxy encrypts the connections")
    where.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        dest="names",
        help="a further host name under which people open the page; may be given several times",
    )
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    options = parser(prog).parse_args(arguments)
    from raycal.annotate.command import run_command  # imported here so that --help stays fast

    return exit_code_of(lambda: run_command(options), {StorageError: FAILED, InfrastructureError: FAILED})


# Runs the command line, by default that of this process, and ends the process.
run = partial(run_command_line, main)


if __name__ == "__main__":
    run()
