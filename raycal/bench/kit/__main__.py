"""`python -m raycal.bench.kit`: the steps for the first minutes on a GPU; the most important steps come first."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NoReturn

import raycal
from raycal.bench.kit.plan import PARTS, PLANNED_MINUTES, SWEEP, Wanted
from raycal.errors import InputError
from raycal.home import expand_home
from raycal.output import run as run_command_line

OK, FAILED, INPUT_ERROR = 0, 1, 2

EPILOG = """\
example:
  python -m raycal.bench.kit --minutes 9 --out found --images cifar10.tar.xz --weights mobilenet_v2.pth \\
      --model mobilenet_v2

Every measured value appends a line to OUT/kit.jsonl. OUT/kit.json is made from these lines at the end. OUT/kit.log
holds what the steps printed.

exit codes: 0 every step finished or was cut at its limit, 1 a step failed, 2 a mistake in the input
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m raycal.bench.kit",
        description="Test raycal on a GPU, measure it, and run the paper's sweep for as long as there is time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=PLANNED_MINUTES, help="time for all steps (default: 9)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for all results")
    parser.add_argument(
        "--images", metavar="DIR_OR_TAR", help="images of the sweep, by class; without them the sweep is skipped"
    )
    parser.add_argument(
        "--weights", metavar="FILE", default="none", help="weights of the sweep's network (default: none)"
    )
    parser.add_argument("--model", default="resnet18", help="the sweep's network (default: resnet18)")
    parser.add_argument(
        "--parts", default=",".join(PARTS), help=f"parts to run, some of {','.join(PARTS)} (default: all)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="use tiny sizes, to see that everything runs; the values mean nothing"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    begin = monotonic()
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    try:
        out = _checked(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return INPUT_ERROR
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with TemporaryDirectory(prefix="raycal-kit-") as work:
        return _run(options, arguments, out, Path(work), begin)


def run() -> NoReturn:
    """Run this process's command line and end the process."""
    run_command_line(main)


def _checked(options: argparse.Namespace) -> Path:
    """Check the options, make the folder of `--out` and return it.

    Raises:
        InputError: An option is not valid.
    """
    problems = []
    if not 0 < options.minutes < 1e6:
        problems.append(f"--minutes {options.minutes:g}: should be more than 0")
    unknown = [part for part in options.parts.split(",") if part not in PARTS]
    problems += [f"--parts {part}: no such part (known: {', '.join(PARTS)})" for part in unknown]
    for name, place in (("--images", options.images), ("--weights", options.weights)):
        if place not in (None, "none", "imagenet") and not Path(expand_home(place)).exists():
            problems.append(f"{name} {place}: no such file")
    out = Path(expand_home(options.out)).absolute()
    if not problems:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for path in out.glob("kit.*"):
                path.unlink()
        except OSError as error:
            problems.append(f"--out {options.out}: {error.strerror or error}")
    if problems:
        raise InputError(*problems)
    return out


def _run(options: argparse.Namespace, arguments: Sequence[str], out: Path, work: Path, begin: float) -> int:
    from raycal.bench.kit.faiss_bridge import faiss_environment
    from raycal.bench.kit.record import ABOUT, append
    from raycal.bench.kit.runner import Runner

    about = {
        "command": shlex.join(["python", "-m", "raycal.bench.kit", *arguments]),
        "raycal": raycal.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
    }
    append(out, ABOUT, about)
    root = Path(raycal.__file__).absolute().parent.parent
    environment, faiss = faiss_environment(work, _environment(root, work))
    append(out, ABOUT, {"faiss": faiss})
    wanted = Wanted(
        root=root,
        out=out,
        work=work,
        parts=options.parts.split(","),
        clustering=_clustering(faiss),
        images=None if options.images is None else Path(expand_home(options.images)).absolute(),
        weights=_absolute(options.weights),
        model=options.model,
        quick=options.quick,
    )
    runner = Runner(wanted, environment, begin, options.minutes)
    runner.say(faiss)
    if wanted.clustering != "kmeans":
        runner.say(f"whole iterations and the sweep use the clustering {wanted.clustering}")
    if SWEEP in wanted.parts and wanted.images is None:
        runner.say("the sweep is skipped, because --images was not given")
    return FAILED if runner.run() else OK


def _environment(root: Path, work: Path) -> dict[str, str]:
    """The environment variables of every step: it imports this raycal, and its caches are in the folder of this run."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return environment | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "RAYCAL_CACHE": str(work / "cache"),
        # The driver keeps a cache here, so that it compiles the code of Faiss only once.
        "CUDA_CACHE_PATH": str(work / "cuda"),
        "CUDA_CACHE_MAXSIZE": str(2**32),
    }


def _clustering(faiss: str) -> str:
    """The name of the clustering: `kmeans`, which uses Faiss, or `torch_kmeans` if Faiss cannot be loaded."""
    from raycal.algorithm.clustering import clusterings

    return "torch_kmeans" if " sees " not in faiss and "torch_kmeans" in clusterings else "kmeans"


def _absolute(weights: str) -> str:
    return weights if weights in ("none", "imagenet") else str(Path(expand_home(weights)).absolute())


if __name__ == "__main__":
    run()
