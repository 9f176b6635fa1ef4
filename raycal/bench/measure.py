"""Clocks, and arms that take turns."""

import math
import resource
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter

Clock = Callable[[], float]


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended: what a busy machine does not change much."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def interleaved(
    arms: Mapping[str, Callable[[], object]], repeats: int, clock: Clock = cpu_seconds
) -> dict[str, list[float]]:
    """Seconds of each arm, which take turns: first, second, first, second."""
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            begin = clock()
            arm()
            taken[name].append(clock() - begin)
    return taken


def ratio(taken: Mapping[str, Sequence[float]], over: str, under: str) -> float:
    """Of the medians of two arms."""
    return median(taken[over]) / max(median(taken[under]), 1e-9)


def each(call: Callable[[], object], *, least_seconds: float = 0.2, clock: Clock = cpu_seconds) -> float:
    """Seconds of one call, called as often as takes `least_seconds`, and once before."""
    call()
    calls, begin = 0, clock()
    end = perf_counter() + 20 * least_seconds
    while clock() - begin < least_seconds and perf_counter() < end:
        call()
        calls += 1
    return (clock() - begin) / calls


def growth_exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of the line through the logarithms: 1 is linear, 2 quadratic."""
    x, y = [math.log(size) for size in sizes], [math.log(taken) for taken in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)
