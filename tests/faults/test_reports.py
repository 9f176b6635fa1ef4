"""Tests that a sweep that is killed and resumed has the same report, figures and tables as an undisturbed sweep."""

import signal

import pytest
from disturbed import Disturbed, operations
from faults import crash_points, killed_at_random
from processes import Starter

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(1800)]


def report_of(disturbed: Disturbed) -> set[str]:
    return {name for name in disturbed.whole if name.startswith("report/")}


@pytest.mark.slow
def test_report_is_compared(reported: Disturbed) -> None:
    names = report_of(reported)

    assert {"report/report.html", "report/summary.csv", "report/figure2_digits.png"} <= names
    assert {"csv", "html", "pdf", "png", "svg", "tex"} == {name.rpartition(".")[2] for name in names}
    assert len(names) > 25
    assert [name for name in names if not reported.whole[name]] == []


def killed(reported: Disturbed, points: list[tuple[int, str]]) -> list[str]:
    """Kill a sweep at each of the points and resume it. Return the problems of the sweeps that then differ."""

    def kill(starter: Starter, point: tuple[int, str]) -> str | None:
        at, place = point
        storage = reported.storage(f"{at}-{place}")
        code, output = reported.start(starter, storage, kind="crash", at=at, place=place)
        return output if code != -signal.SIGKILL else reported.fix(starter, storage)

    return reported.each("with report: SIGKILL before, during or after a write or removal", points, kill)


def first_of_report(noted: list[str]) -> int:
    """The number of the first operation of the report."""
    return next(number for number, operation in enumerate(noted) if "/report/" in operation)


@pytest.mark.slow
def test_killed_in_a_trial_and_in_the_report(reported: Disturbed) -> None:
    noted = operations(reported)
    report = first_of_report(noted)

    assert killed(reported, [(report // 2, "torn"), (report + 7, "torn"), (len(noted) - 1, "after")]) == []


@pytest.mark.long
def test_killed_at_every_operation_of_the_report(reported: Disturbed) -> None:
    noted = operations(reported)
    points = [point for point in crash_points(noted) if point[0] >= first_of_report(noted)]
    assert len(points) > 40

    assert killed(reported, points) == []


@pytest.mark.long
def test_killed_at_many_random_moments(reported: Disturbed) -> None:
    assert killed_at_random(reported, 50, seed=3, within=6.0) == []
