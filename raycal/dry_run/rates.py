"""The work per image, and the speed of CPU cores and GPUs, which is assumed or measured by `raycal.bench --gpu`."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raycal.errors import InputError
from raycal.home import expand_home

# GFLOP per image of 32 px for ResNet-18: forward alone, and forward plus backward. Both grow with the square of the
# image size. For other networks they are scaled by the number of multiply-adds.
FORWARD_GFLOP, TRAINING_GFLOP = 0.074, 0.217
# Assumed sustained rates, correct to within a factor of three: one core of a 2024 server CPU, and one GPU of each kind.
CORE_GFLOPS = 100.0
GPU_GFLOPS = {"H100": 100_000.0, "A100": 45_000.0, "L4": 11_000.0}
# Rough estimates of start-up times in seconds: for the process, including the report at its end; for Ray with the first
# trial of each concurrent slot, on a machine with two cores; and for any other trial.
PROCESS_SECONDS, RAY_SECONDS, TRIAL_SECONDS = 15.0, 45.0, 1.5
BENCH = "python -m raycal.bench --gpu --json FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRate:
    """The sustained rate of one GPU.

    Attributes:
        gpu: The GPU's name as its driver gives it, or the assumed kind of GPU.
        gflops: The rate in GFLOP/s.
        origin: The origin of the rate, in the words to print.
    """

    gpu: str
    gflops: float
    origin: str

    def is_of(self, kind: str) -> bool:
        """Whether the GPU is of this kind, such as `L4`; an L40 does not count as an L4."""
        return kind in re.split(r"[\s-]+", self.gpu)


ASSUMED = GpuRate(gpu="H100-class GPUs", gflops=GPU_GFLOPS["H100"], origin="assumed, not measured")


def measured_rate(place: str) -> GpuRate:
    """The training rate of a GPU from the benchmark file `place`, which is the value of `--bench`.

    The same rate is used for scoring, although scoring is faster.

    Raises:
        InputError: The file cannot be read, or has no training rate of a GPU.
    """
    try:
        bench = json.loads(Path(expand_home(place)).read_text(encoding="utf-8"))
        figure = next(figure for figure in bench["figures"] if _is_training(figure))
        images_per_second, size = float(figure["value"]), int(figure["setting"]["image_size"])
        gpu, date = str(bench["machine"]["device"]), str(bench["date"])[:10]
    except OSError as error:
        raise InputError(f"--bench {place}: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, StopIteration, RuntimeError) as error:
        raise InputError(f"--bench {place}: has no training rate of a GPU; write one with {BENCH}") from error
    if not 0 < images_per_second < math.inf or size < 1:
        raise InputError(f"--bench {place}: {images_per_second:g} img/s at {size} px is no training rate of a GPU")
    gflops = images_per_second * TRAINING_GFLOP * (size / 32) ** 2
    return GpuRate(gpu=gpu, gflops=gflops, origin=f"measured at {size} px on {date}")


def _is_training(figure: Any) -> bool:
    return (figure["benchmark"], figure["name"], figure["unit"]) == ("gpu training", "raycal, best batch", "img/s")
