"""Kills the server and the workers of labeling projects while a bot labels. In the end, nothing may differ from an
undisturbed project, and each acknowledged answer must be in the log once."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

import pytest
from forked import Point, Running, kill_worker
from labeling import Labeling, report_of

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(1800)]

# One project is disturbed by this number of kills, each at another write.
OF_EACH = 9


@pytest.fixture(params=["labeled_digits", "labeled_images"])
def labeling(request: pytest.FixtureRequest) -> Labeling:
    found: Labeling = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    "every", [pytest.param(23, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"]
)
def test_kill_at_operations(labeling: Labeling, every: int) -> None:
    points = labeling.crash_points()
    assert len(points) > 150
    for name in ("0.jsonl", "access.json", "step-1.json", ".parquet", ".model.pt", "results.jsonl", "finished.json"):
        assert any(operation.endswith(name) for operation, _ in points), name
    last = next(operation for operation, _ in points if operation.endswith("/finished.json"))
    chosen = list(dict.fromkeys([*points[::every], (last, "after")]))
    projects = -(-len(chosen) // OF_EACH)

    def kill(number: int) -> str | None:
        of_project: list[Point] = chosen[number::projects]
        wrong = labeling.label(labeling.folder / f"every-{every}-{number}", of_project)
        return None if wrong is None else f"{of_project}: {wrong}"

    assert at_once(kill, projects) == []


@pytest.mark.slow
def test_killed_at_random_moments(labeled_images: Labeling) -> None:
    killed_at_random(labeled_images, 1)


@pytest.mark.long
def test_killed_at_many_random_moments(labeling: Labeling) -> None:
    killed_at_random(labeling, 10)


def killed_at_random(labeling: Labeling, projects: int) -> None:
    def label(number: int) -> str | None:
        storage = labeling.folder / f"random-{projects}-{number}"
        kills = RandomKills(storage, seed=number)
        wrong = labeling.label(storage, disturb=kills)
        assert kills.number > 2, kills.number
        return wrong

    assert at_once(label, projects) == []
    written = report_of(labeling.folder / f"random-{projects}-0" / labeling.name)
    assert "report.html" in written
    assert written == report_of(labeling.folder / "whole" / labeling.name)


def at_once(work: Callable[[int], str | None], number: int) -> list[str]:
    """Call a function several times, two calls at a time. Return the problems that the calls report."""
    with ThreadPoolExecutor(2) as pool:
        return [wrong for wrong in pool.map(work, range(number)) if wrong is not None]


class RandomKills:
    """Kills a worker and then the server, each after a random time, until five servers were killed."""

    def __init__(self, storage: Path, seed: int) -> None:
        self._storage, self._rng, self.number = storage, random.Random(seed), 0

    def __call__(self, server: Running) -> None:
        if self.number < 5:
            self.number += 1
            waits = self._rng.uniform(0.1, 1.5), self._rng.uniform(0.1, 1.5)
            threading.Thread(target=self._kill, args=(server, *waits), daemon=True).start()

    def _kill(self, server: Running, first: float, then: float) -> None:
        server.wait(first)
        kill_worker(self._storage)
        server.wait(then)
        with suppress(ProcessLookupError):
            server.kill(SIGKILL)
