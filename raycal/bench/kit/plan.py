"""The steps of the kit in order, with the seconds that each may take of a total of nine minutes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raycal.bench.figure import Figure
from raycal.bench.kit import gpu_tests
from raycal.bench.kit.trials import SCENARIOS, Trial, image_root

PLANNED_MINUTES = 9.0
TESTS, FIGURES, SWEEP = PARTS = ("tests", "figures", "sweep")
TEST_SECONDS = 90.0
FIGURE_SECONDS = {
    "kmeans": 45.0,
    "compiling": 45.0,
    "iteration": 55.0,
    "ceilings": 15.0,
    "training": 60.0,
    "scoring": 25.0,
    "sharing": 35.0,
}
UNPACK_SECONDS = 45.0


def _nothing() -> Iterator[Figure]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the kit, which runs as one process.

    Attributes:
        part: The part of the kit that the step belongs to.
        command: Makes the command line of the step when its turn has come.
        seconds: The seconds that the step may take of a total of nine minutes. None means an equal share of the time
            left.
        new_figures: Reads the new figures of the step while it runs and at its end.
        last_figures: Makes the figures that are known at the end of the step, from its output.
    """

    part: str
    name: str
    command: Callable[[], Sequence[str]]
    seconds: float | None = None
    new_figures: Callable[[], Iterator[Figure]] = _nothing
    last_figures: Callable[[str], Iterator[Figure]] = lambda output: iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of the command line.

    Attributes:
        root: The folder that contains the package, the tests and the sweeps.
        out: The folder for the results.
        work: A folder for temporary files.
        parts: The parts of the kit to run.
        clustering: The name of the clustering in whole iterations and in the sweep.
        images: A folder or an archive of images by class. None means that there is no sweep.
        weights: The weights of the sweep's network: `none`, `imagenet` or a file.
        model: The name of the sweep's network.
        quick: Whether sizes are so small that figures mean nothing.
    """

    root: Path
    out: Path
    work: Path
    parts: Sequence[str]
    clustering: str
    images: Path | None
    weights: str
    model: str
    quick: bool


def steps(wanted: Wanted) -> list[Step]:
    """All steps of the wanted parts; the most important ones come first."""
    steps: list[Step] = []
    if TESTS in wanted.parts:
        steps.append(
            Step(
                part=TESTS,
                name=TESTS,
                command=lambda: gpu_tests.command(wanted.root),
                seconds=TEST_SECONDS,
                last_figures=gpu_tests.figures,
            )
        )
    if FIGURES in wanted.parts:
        steps += [_measuring(name, wanted, seconds) for name, seconds in FIGURE_SECONDS.items()]
    if SWEEP in wanted.parts and wanted.images is not None:
        steps += _sweep(wanted, wanted.images)
    return steps


def measuring_command(name: str, wanted: Wanted) -> list[str]:
    """The command that runs one step of the GPU benchmark."""
    command = [sys.executable, "-m", "raycal.bench.kit.figures", name, "--out", str(wanted.out)]
    return [*command, "--clustering", wanted.clustering, *(["--quick"] if wanted.quick else [])]


def trials(wanted: Wanted) -> list[Trial]:
    """The trials of the sweep, in order."""
    return [Trial(scenario=scenario, storage=wanted.work / "runs" / scenario) for scenario in SCENARIOS]


def _measuring(name: str, wanted: Wanted, seconds: float) -> Step:
    return Step(part=FIGURES, name=name, command=lambda: measuring_command(name, wanted), seconds=seconds)


def _sweep(wanted: Wanted, images: Path) -> Iterator[Step]:
    unpacked = images if images.is_dir() else wanted.work / "images"
    if not images.is_dir():
        unpack = [sys.executable, "-m", "tarfile", "--filter", "data", "-e", str(images), str(unpacked)]
        yield Step(part=SWEEP, name="unpacking", command=lambda: unpack, seconds=UNPACK_SECONDS)
    for trial in trials(wanted):
        yield Step(
            part=SWEEP,
            name=trial.scenario,
            command=lambda trial=trial: trial.command(  # type: ignore[misc]
                wanted.root,
                image_root(unpacked),
                wanted.weights,
                wanted.model,
                clustering=wanted.clustering,
                quick=wanted.quick,
            ),
            new_figures=trial.new_figures,
            last_figures=lambda output, trial=trial: trial.pace(),  # type: ignore[misc]
        )
