"""Causes faults for several tests, and lists the points of a sweep at which a crash can happen."""

import random
import signal

from disturbed import Disturbed
from processes import Starter


def crash_points(noted: list[str]) -> list[tuple[int, str]]:
    """The points at which a crash leaves different files. "Before" an operation is the same point as "after" the
    previous one."""
    points = [(0, "before")]
    for number, operation in enumerate(noted):
        places = ("torn", "after") if operation.startswith("write") else ("after",)
        points += [(number, place) for place in places]
    return points


def killed_at_random(disturbed: Disturbed, kills: int, *, seed: int, within: float = 2.0) -> list[str]:
    """Kill each sweep five times within its first seconds, `kills` times in all, and then resume it to its end."""
    of_each = 5

    def kill(starter: Starter, number: int) -> str | None:
        rng = random.Random(1000 * seed + number)
        storage = disturbed.storage(f"random-{number}")
        for _ in range(of_each):
            code, output = disturbed.start(starter, storage, kind="kill_after", seconds=rng.uniform(0, within))
            if code not in (0, -signal.SIGKILL):
                return f"exit code {code}: {output}"
        return disturbed.fix(starter, storage)

    fault = f"{of_each} times SIGKILL at random moments within {within:g} s{' (with report)' * disturbed.with_report}"
    return disturbed.each(fault, range(kills // of_each), kill)
