"""Clocks for a device that works asynchronously to the program."""

from collections.abc import Callable
from time import perf_counter

import torch


def synchronized() -> float:
    """The wall clock, in seconds, after the device has finished all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter()


def device_seconds(call: Callable[[], object]) -> float:
    """The seconds that a call takes on the device, from CUDA events; without CUDA, the wall-clock seconds."""
    if not torch.cuda.is_available():
        begin = perf_counter()
        call()
        return perf_counter() - begin
    begins, ends = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begins.record()
    call()
    ends.record()
    torch.cuda.synchronize()
    elapsed: float = begins.elapsed_time(ends)
    return elapsed / 1000


def in_turn(arms: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """The device seconds of each arm. The arms take turns, after one call of each to warm up."""
    for arm in arms.values():
        arm()
    durations: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            durations[name].append(device_seconds(arm))
    return durations
