"""Measures the best performance that the device can reach."""

from collections.abc import Iterator
from statistics import median

import torch

from raycal.bench.figure import Figure
from raycal.bench.gpu.clock import in_turn
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.material import Options


def ceilings(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The rates of matrix products in bfloat16 and of copies within the device's memory."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    left, right = (torch.randn(sizes.matrix, sizes.matrix, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randint(256, (sizes.copied_bytes,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    durations = in_turn({"matmul": lambda: left @ right, "copy": lambda: target.copy_(source)}, max(5, options.repeats))
    yield Figure(
        benchmark="gpu ceilings",
        name="matrix product",
        value=2 * sizes.matrix**3 / median(durations["matmul"]) / 1e12,
        unit="TFLOP/s",
        arms={"matmul": durations["matmul"]},
        setting={"dtype": "bfloat16", "size": sizes.matrix, "arms": "seconds on the device"},
    )
    yield Figure(
        benchmark="gpu ceilings",
        name="copy, read and written",
        value=2 * sizes.copied_bytes / median(durations["copy"]) / 1e12,
        unit="TB/s",
        arms={"copy": durations["copy"]},
        setting={"bytes": sizes.copied_bytes, "arms": "seconds on the device"},
    )
