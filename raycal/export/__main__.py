"""`raycal export` or `python -m raycal.export`: writes the labels of a run, and its model, as a data set."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from raycal.errors import RaycalError, StorageError
from raycal.output import INPUT_ERROR, exit_code_of
from raycal.output import run as run_command_line

if TYPE_CHECKING:
    from raycal.export.write import ExportSummary

PROG = "python -m raycal.export"
OK, FAILED = 0, 1
EPILOG = """\
examples:
  {prog} runs/quickstart/digits-random-s0-1a2b3c4d --to digits-labeled
  {prog} runs/birds --to birds-labeled --images copy

The folder has the labels as CSV, Parquet, for Hugging Face and for Label Studio, the images in a folder for each class,
and the model with a script that labels new images. README.md in it describes all files.

The model of a finished run is trained again, which takes as long as the training of one iteration.

exit codes: 0 the data set is written, 1 writing failed, 2 a mistake in the input
"""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write the labels of a run, and its model, as a data set that other programs read.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run", metavar="RUN", help="the folder of a run: <storage>/<sweep name>/<id>, or of a sweep with one run"
    )
    parser.add_argument("--to", metavar="DIR", required=True, help="the folder to write; an earlier export is replaced")
    parser.add_argument(
        "--images",
        choices=("link", "copy", "none"),
        default="link",
        help="whether the class folders link to the original images or have copies, or are left out (default: link)",
    )
    parser.add_argument("--no-model", action="store_true", help="write the labels only")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="PATH", help="a plug-in that the run uses; may be repeated"
    )
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _export(options), {StorageError: INPUT_ERROR, RaycalError: FAILED})


# Runs the command line, by default that of this process, and ends the process.
run = partial(run_command_line, main)


def _export(options: argparse.Namespace) -> int:
    from raycal.export.write import export_run  # imported here so that --help stays fast

    summary = export_run(
        options.run, options.to, pictures=options.images, with_model=not options.no_model, plugins=options.plugin
    )
    print("\n".join(lines_of(summary)))
    return OK


def lines_of(summary: "ExportSummary") -> list[str]:
    """What the command prints about an export."""
    num_labeled = summary.num_single + summary.num_cluster
    wrong = "" if summary.num_wrong is None else f"; {summary.num_wrong:,} differ from the labels of the data set"
    lines = [
        f"labels  {num_labeled:,} {summary.kind} of a pool of {summary.num_pool:,}: {summary.num_single:,} one by one, "
        f"{summary.num_cluster:,} in clusters{wrong}",
        f"test    {summary.num_holdout:,} labeled {summary.kind}",
    ]
    if summary.accuracy is not None:
        value, low, high = summary.accuracy
        again = ", trained again from the labels in the ledger" if summary.is_trained_again else ""
        lines.append(f"model   accuracy {value:.3f} (95 % interval {low:.3f} to {high:.3f}){again}")
    return [*lines, f"written to {summary.folder}"]


if __name__ == "__main__":
    run()
