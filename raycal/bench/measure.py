"""Clocks, the memory of a process, and the measurement of arms that take turns."""

import math
import resource
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter

import psutil

GIB = 2**30
Clock = Callable[[], float]


def cpu_seconds() -> float:
    """CPU seconds of this process and its finished children, which vary little on a busy machine."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def memory(process: psutil.Process) -> int:
    """The bytes of memory that a process has for itself, without the pages of files."""
    info = process.memory_info()
    return int(info.rss) - int(getattr(info, "shared", 0))


def interleaved(
    arms: Mapping[str, Callable[[], object]], repeats: int, clock: Clock = cpu_seconds
) -> dict[str, list[float]]:
    """The seconds of each repeat of each arm; the arms take turns: first, second, first, second."""
    durations: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            begin = clock()
            arm()
            durations[name].append(clock() - begin)
    return durations


def ratio(durations: Mapping[str, Sequence[float]], over: str, under: str) -> float:
    """The ratio of the medians of two arms."""
    return median(durations[over]) / max(median(durations[under]), 1e-9)


def each(call: Callable[[], object], *, least_seconds: float = 0.2, clock: Clock = cpu_seconds) -> float:
    """The mean seconds of a call, over as many calls as take `least_seconds`, after one call to warm up."""
    call()
    calls, begin = 0, clock()
    end = perf_counter() + 20 * least_seconds
    while clock() - begin < least_seconds and perf_counter() < end:
        call()
        calls += 1
    return (clock() - begin) / calls


def growth_exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the line through the logarithms of sizes and seconds: 1 is linear growth, 2 is quadratic."""
    x, y = [math.log(size) for size in sizes], [math.log(duration) for duration in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)
