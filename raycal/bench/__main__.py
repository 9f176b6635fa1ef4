"""`python -m raycal.bench`: compares the time that raycal takes with the time that the same work takes without
raycal."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from raycal.errors import InputError, RaycalError
from raycal.home import expand_home
from raycal.output import exit_code_of
from raycal.output import run as run_command_line

if TYPE_CHECKING:
    from raycal.bench.figure import Figure
    from raycal.bench.material import Options

OK, FAILED = 0, 1
LEAST_SIZE = 1000
GPU = "gpu"

BENCHMARKS: Mapping[str, str] = {
    "training": "the learner compared with a bare loop of the same recipe",
    "scoring": "scoring the pool in one pass, compared with the two passes of a straightforward script",
    "input": "batches from images in memory, compared with opening image by image with PIL",
    "iteration": "a whole iteration compared with an iteration of a straightforward script",
    "kmeans": "the clusterings compared with Faiss called directly",
    "selection": "choosing samples and updating the pool, for up to millions of samples",
    "overhead": "an experiment with all its files, compared with the bare loop",
    "settings": "automatic settings compared with the best of a small grid",
    "rerun": "starting a finished sweep again, compared with its first run",
}
WHEN_NAMED: Mapping[str, str] = {
    "trials": "two trials at a time on Ray, compared with one after another",
    "accuracy": "results in bfloat16 and in float32",
    "vectors": "whole experiments with 50,000 embeddings from a file",
    "scale": "time and memory by the size of the pool, and what a billion samples would take",
    "shards": "selection and clustering of a pool in shards on Ray, compared with one process",
    "answers": "50 people who answer at the same time: how long until an answer is on the disk",
    "first_question": "a later start of a project with 100,000 images: how long until the first question",
}
# Libraries read their number of threads from these variables when they are imported.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

PROG = "python -m raycal.bench"

EPILOG = """\
examples:
  {prog}                                  all that need not be named, in about ten minutes on two cores
  {prog} scoring kmeans --json bench.json
  {prog} iteration --data ~/birds --weights imagenet
  {prog} --gpu

On the CPU, the programs that are compared take turns, with one thread each, and their CPU seconds are measured.
A goal that is missed is not an error.

exit codes: 0 measured, 1 a benchmark failed, 2 a mistake in the input
"""


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure raycal against a bare training loop and a straightforward script for the same work.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="benchmarks to run (default: see --list)")
    parser.add_argument("--list", action="store_true", help="print the benchmarks and stop")
    parser.add_argument("--gpu", action="store_true", help="run only the GPU benchmark")
    parser.add_argument("--json", metavar="FILE", help="write all values, repeats, settings and versions to this file")
    parser.add_argument(
        "--repeats",
        metavar="N",
        type=int,
        default=3,
        help="how often each program is measured, at least once (default: 3)",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="folder of images, one subfolder per class (default: generated images)"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default="none",
        help="weights of the network: none, imagenet or a file (default: none)",
    )
    parser.add_argument(
        "--features", metavar="FILE", help=".npy file with the features to cluster (default: generated features)"
    )
    parser.add_argument(
        "--sizes",
        metavar="N",
        nargs="+",
        type=int,
        help="sizes of the pool in the benchmark scale (default: 1_000_000 10_000_000); shards uses the largest",
    )
    parser.add_argument(
        "--quick", action="store_true", help="use tiny sizes, to see that everything runs; the values mean nothing"
    )
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run the command line and return its exit code."""
    options = parser(prog).parse_args(arguments)
    if options.list:
        for name, what in {**BENCHMARKS, **WHEN_NAMED}.items():
            print(f"{name:<14} {what}" + (" (only when named)" if name in WHEN_NAMED else ""))
        return OK
    words = sys.argv[1:] if arguments is None else arguments
    return exit_code_of(lambda: _bench(options, words), {RaycalError: FAILED})


def run(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> NoReturn:
    """Run the command line and end the process.

    For the CPU arms, libraries that read their number of threads from the environment get one thread.

    Args:
        arguments: The arguments after the program's name. None means the arguments of this process.
        prog: The program's name in the usage text.
    """
    words = sys.argv[1:] if arguments is None else arguments
    for name in THREADS if f"--{GPU}" not in words else ():
        os.environ.setdefault(name, "1")
    run_command_line(main, words, prog=prog)


def _bench(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    names = _names(options)
    from raycal.bench.material import Options  # The imports are late, so that --help is fast.
    from raycal.bench.table import as_json, lines

    out = None if options.json is None else _writable(options.json)
    bench_options = Options(
        quick=options.quick,
        repeats=options.repeats,
        data=options.data,
        weights=options.weights,
        embeddings=options.features,
        sizes=None if options.sizes is None else tuple(options.sizes),
    )
    figures = [figure for name in names for figure in _figures(name, bench_options)]
    print()
    print("\n".join(lines(figures)))
    if out is not None:
        out.write_text(as_json(figures, _about(arguments)))
    return OK


def _figures(name: str, options: "Options") -> list["Figure"]:
    """Run one benchmark, print each of its figures and return them; the benchmark's module is imported here."""
    from importlib import import_module

    from raycal.bench.table import lines

    figures = []
    for figure in import_module(f"raycal.bench.{name}").run(options):
        print(lines([figure])[1], file=sys.stderr, flush=True)
        figures.append(figure)
    return figures


def _names(options: argparse.Namespace) -> list[str]:
    """The names of the benchmarks to run.

    Raises:
        InputError: A benchmark is unknown, an option is not valid, or `--gpu` is set on a machine without a GPU.
    """
    problems = []
    if options.repeats < 1:
        problems.append(f"--repeats {options.repeats}: should be at least 1")
    if options.gpu and options.names:
        problems.append("--gpu: runs the GPU benchmark alone; leave the names out")
    if options.sizes is not None and (
        (len({*options.sizes}) < 2 and "scale" in options.names) or min(options.sizes) < LEAST_SIZE
    ):
        given = " ".join(map(str, options.sizes))
        problems.append(f"--sizes {given}: should be at least {LEAST_SIZE:,}, and two or more for scale")
    known = [*BENCHMARKS, *WHEN_NAMED]
    unknown = [name for name in options.names if name not in known]
    if unknown:
        from raycal.config.strict import did_you_mean

        problems += [f"{name}: no such benchmark {did_you_mean(name, known)}" for name in unknown]
    if problems:
        raise InputError(*problems)
    if options.gpu:
        _need_gpu()
        return [GPU]
    return list(dict.fromkeys(options.names)) or list(BENCHMARKS)


def _need_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise InputError("--gpu: torch sees no GPU here; leave --gpu out to measure the CPU")


def _writable(place: str) -> Path:
    """The path of the file of `--json`.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(expand_home(place))
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise InputError(f"--json {place}: {error.strerror or error}") from error
    return path


def _about(arguments: Sequence[str]) -> dict[str, object]:
    import shlex
    from datetime import UTC, datetime

    from raycal import __version__
    from raycal.bench.machine import machine

    return {
        "raycal": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "raycal.bench", *arguments]),
        "machine": machine(),
    }


if __name__ == "__main__":
    run()
