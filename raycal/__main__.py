"""The command `raycal`, which is also `python -m raycal`: one subcommand for each command of the package.

Each subcommand is a module that has `run(arguments, prog=...)` and can be started by itself, as in
`python -m raycal.sweep`. Only the module of the subcommand that is asked for is imported.
"""

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple, NoReturn

from raycal import __version__
from raycal.errors import printable
from raycal.output import INPUT_ERROR
from raycal.output import run as run_command_line

PROG = "raycal"


class Command(NamedTuple):
    """A subcommand: the module that carries it out, and its description in `raycal --help`."""

    module: str
    description: str


COMMANDS = {
    "sweep": Command(
        "raycal.sweep.__main__", "run a sweep file: one trial per combination of settings, on Ray or without"
    ),
    "annotate": Command("raycal.annotate.__main__", "open a page on which people label images, while a model learns"),
    "watch": Command("raycal.watch", "show a sweep while it runs, a line per trial, from the sweep's folder"),
    "report": Command("raycal.report.__main__", "write the report of a sweep: page, figures and tables"),
    "export": Command("raycal.export.__main__", "write the labels of a run, and its model, as a data set"),
    "track": Command("raycal.track", "send to MLflow the results of a sweep that it does not have yet"),
    "doctor": Command("raycal.doctor.__main__", "check whether a sweep can run here, and say what to fix"),
    "pool": Command("raycal.pool", "print what the running experiments have annotated so far"),
    "bench": Command(
        "raycal.bench.__main__", "compare the speed of raycal with a bare training loop and a straightforward script"
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options that stand before the subcommand."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.description}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog=PROG,
        usage=f"{PROG} [-h] [--version] COMMAND ...",
        description="Find the annotation strategy that reaches an accuracy for the fewest human interactions.",
        epilog="\n".join(["commands:", *lines, "", f"{PROG} COMMAND --help prints the options of a command."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Answer a command line that names no known subcommand, and return the exit code."""
    before, name, _ = split(arguments)
    parser().parse_args(before)  # This call ends the process after --help and --version.
    if name is None:
        parser().print_help(sys.stderr)
    else:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(COMMANDS)}"
        print(f"{PROG} {printable(name)}: there is no such command ({hint})", file=sys.stderr)
    return INPUT_ERROR


def split(arguments: Sequence[str]) -> tuple[Sequence[str], str | None, Sequence[str]]:
    """Split a command line into the options before the subcommand, the subcommand, and the words after it."""
    at = next((place for place, word in enumerate(arguments) if not word.startswith("-")), None)
    return (arguments, None, ()) if at is None else (arguments[:at], arguments[at], arguments[at + 1 :])


def run() -> NoReturn:
    """Run the command line of this process and end the process."""
    arguments = sys.argv[1:]
    before, name, rest = split(arguments)
    if not before and name in COMMANDS:
        import_module(COMMANDS[name].module).run(rest, prog=f"{PROG} {name}")
    run_command_line(main, arguments)


if __name__ == "__main__":
    run()
