import subprocess
import sys

import pytest

from raycal.bench.measure import cpu_seconds, each, growth_exponent, interleaved, ratio


def test_arms_take_turns_and_keep_their_seconds() -> None:
    now, calls = [0.0], []

    def arm(name: str, seconds: float) -> None:
        calls.append(name)
        now[0] += seconds

    taken = interleaved({"a": lambda: arm("a", 1.0), "b": lambda: arm("b", 2.5)}, 3, lambda: now[0])

    assert "".join(calls) == "ababab"
    assert taken == {"a": [1.0, 1.0, 1.0], "b": [2.5, 2.5, 2.5]}


def test_ratio_is_that_of_the_medians() -> None:
    assert ratio({"a": [100.0, 6.0, 5.0], "b": [1.0, 2.0, 3.0]}, "a", "b") == 3.0


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_growth_exponent_is_the_power_of_a_power_law(exponent: float) -> None:
    sizes = [10, 100, 1000, 5000]

    assert growth_exponent(sizes, [3e-3 * size**exponent for size in sizes]) == pytest.approx(exponent)


def test_one_call_is_timed_by_many() -> None:
    now = [0.0]

    def call() -> None:
        now[0] += 0.03

    assert each(call, least_seconds=1.0, clock=lambda: now[0]) == pytest.approx(0.03)


def test_cpu_time_of_children_counts() -> None:
    before = cpu_seconds()

    subprocess.run([sys.executable, "-c", "for _ in range(3 * 10**6): pass"], check=True)

    assert cpu_seconds() - before > 0.02
