"""`scale`: measures time and memory of everything that grows with the pool, and predicts them for a billion samples."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import NamedTuple

import numpy as np
import psutil

from raycal.algorithm.clustering import clusterings, inertia
from raycal.algorithm.records import Floats
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import GIB, growth_exponent, memory
from raycal.bench.scale_parts import EXACT, NUM_CLUSTERS, PARTS, WIDTH, rows_of, write_embeddings
from raycal.errors import InputError, RaycalError

SIZES, QUICK_SIZES = (10**6, 10**7), (4000, 16_000)
# The exact clustering compares each point with each center 40 times, so larger pools would take hours.
EXACT_SIZES, QUICK_EXACT_SIZES = (5 * 10**4, 2 * 10**5), (2000, 4000)
PREDICTED = 10**9
LARGEST_EXPONENT, MOST_GIB, MOST_INERTIA = 1.1, 256.0, 1.01
# A network's embeddings, of which the files of this benchmark have an eighth in half precision.
USUAL_WIDTH = 512
_POLL_SECONDS = 0.002
_FREE_SHARE = 1.1


class Used(NamedTuple):
    """What a part used in a process of its own.

    Attributes:
        cpu_seconds: CPU seconds of the part alone, without its input.
        bytes: The peak of the memory of the process beyond its libraries. Pages of memory-mapped files do not count,
            because the operating system can take them back at any time.
    """

    cpu_seconds: float
    bytes: float


def run(options: Options) -> Iterator[Figure]:
    """Exponents, predictions for a billion samples, and the inertia of the clustering that is trained on a sample."""
    sizes = sorted(options.sizes or (QUICK_SIZES if options.quick else SIZES))
    exact_sizes = QUICK_EXACT_SIZES if options.quick else EXACT_SIZES
    used: dict[str, dict[int, Used]] = {part: {} for part in PARTS}
    with TemporaryDirectory(prefix="raycal-scale-") as folder:
        for size in sorted({*sizes, *exact_sizes}):
            file = Path(folder) / "embeddings.npy"
            check_space(file.parent, size)
            write_embeddings(file, size)
            for part in PARTS:
                if size in (exact_sizes if part == EXACT else sizes):
                    used[part][size] = measured(part, size, file)
                    print(_line(part, size, used[part][size]), file=sys.stderr, flush=True)
            file.unlink()
    for part, by_size in used.items():
        yield from _figures(part, by_size)
    yield Figure(
        benchmark="scale",
        name=f"memory of {PREDICTED:,} embeddings of {USUAL_WIDTH} float32 values, computed",
        value=PREDICTED * USUAL_WIDTH * 4 / GIB,
        unit="GiB",
        goal=Goal("<=", MOST_GIB),
        setting={"count": PREDICTED, "width": USUAL_WIDTH, "dtype": "float32"},
    )
    yield from _inertia(options)


def predicted(sizes: Sequence[int], values: Sequence[float], size: int) -> float:
    """The value at a size beyond all measured sizes, from the two largest of them: the larger one of the straight line
    and the power law through their values.

    The power law alone would predict too little where a fixed part, such as the training on a sample, takes most of
    the time of the measured sizes.
    """
    (small, large), (low, high) = sizes[-2:], values[-2:]
    line = high + (high - low) / (large - small) * (size - large)
    power = high * (size / large) ** growth_exponent((small, large), (low, high))
    return float(max(line, power))


def measured(part: str, size: int, file: Path) -> Used:
    """The CPU seconds and the peak memory of one part of the work, in a process of its own.

    Raises:
        RaycalError: The process failed, for example for lack of memory.
    """
    command = [sys.executable, "-m", "raycal.bench.scale_parts", part, str(size), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = 0
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, memory(seen))
            except psutil.Error:
                break
            sleep(_POLL_SECONDS)
        out, problem = process.communicate()
    if process.returncode:
        reason = problem.strip().splitlines() or [f"exit code {process.returncode}"]
        raise RaycalError(f"scale: {part} with {size:,} samples: {reason[-1]}")
    record = json.loads(out)
    return Used(cpu_seconds=record["cpu_seconds"], bytes=max(peak, record["bytes_after"]) - record["bytes_before"])


def _line(part: str, size: int, used: Used) -> str:
    return f"scale      {part}, {size:,} samples: {used.cpu_seconds:,.2f} CPU seconds, {used.bytes / GIB:.3f} GiB"


def _figures(part: str, by_size: dict[int, Used]) -> Iterator[Figure]:
    sizes = list(by_size)
    arms_by_unit = {
        "CPU seconds": {f"{size:,}": [used.cpu_seconds] for size, used in by_size.items()},
        "GiB": {f"{size:,}": [used.bytes / GIB] for size, used in by_size.items()},
    }
    for what, (unit, arms) in zip(("CPU", "memory"), arms_by_unit.items(), strict=True):
        # A part may be too quick for the clock, or too small for the first measurement of memory.
        values = [max(value, 1e-6) for (value,) in arms.values()]
        setting = {"arms": f"{unit} by size of the pool", "threads": 1, "width": WIDTH, "clusters": NUM_CLUSTERS}
        yield Figure(
            benchmark="scale",
            name=f"{part}: exponent, {what}",
            value=growth_exponent(sizes, values),
            unit="",
            goal=Goal("<=", LARGEST_EXPONENT),
            arms=arms,
            setting=setting,
        )
        for size, value in zip(sizes, values, strict=True):
            yield _at(part, size, what, value, setting)
        yield _at(part, PREDICTED, what, predicted(sizes, values, PREDICTED), setting)


def _at(part: str, size: int, what: str, value: float, setting: dict[str, object]) -> Figure:
    is_memory, words = what == "memory", "predicted" if size == PREDICTED else "measured"
    return Figure(
        benchmark="scale",
        name=f"{part}: {what} at {size:,}, {words}",
        value=value,
        unit="GiB" if is_memory else "s",
        goal=Goal("<=", MOST_GIB) if is_memory and size == PREDICTED else None,
        setting=setting,
    )


def _inertia(options: Options) -> Iterator[Figure]:
    num_points, count = options.size(10**6, 3000), options.size(NUM_CLUSTERS, 8)
    for kind, in_groups in (("in groups", True), ("spread out", False)):
        points: Floats = np.concatenate([rows.astype(np.float32) for rows in rows_of(num_points, in_groups=in_groups)])
        loss = {name: inertia(points, clusterings[name](points, count, 0)) for name in ("kmeans", "sampled_kmeans")}
        yield Figure(
            benchmark="scale",
            name=f"inertia, sampled / exact, {num_points:,} points {kind}",
            value=loss["sampled_kmeans"] / loss["kmeans"],
            goal=Goal("<=", MOST_INERTIA),
            setting={"count": num_points, "width": WIDTH, "clusters": count, "points": kind, "inertia": loss},
        )


def check_space(folder: Path, size: int) -> None:
    """Check that the folder has space for the embeddings of a pool of this size.

    Raises:
        InputError: There is too little space.
    """
    needed = int(size * WIDTH * 2 * _FREE_SHARE)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"--sizes {size}: the embeddings take {needed / GIB:.1f} GiB in {folder.parent}, where {free / GIB:.1f} GiB"
            " are free; set TMPDIR to a folder with more space"
        )
