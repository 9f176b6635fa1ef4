"""Kills a sweep at each write or removal of a file, and resumes it. In the end nothing may differ from an undisturbed
sweep, and nothing may exist twice."""

import signal

import pytest
from disturbed import Disturbed, operations
from faults import crash_points
from processes import Starter

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize(
    "every", [pytest.param(6, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"]
)
def test_kill_at_operations(small: Disturbed, every: int) -> None:
    noted = operations(small)
    assert 25 < len(noted) < 60
    for name in ("plan.json", "owner.json", "iteration-001.parquet", "iteration-001.png", "finished.json"):
        assert any(operation.endswith(f"/{name}") for operation in noted), name

    def kill(starter: Starter, point: tuple[int, str]) -> str | None:
        at, place = point
        storage = small.storage(f"{at}-{place}")
        code, output = small.start(starter, storage, kind="crash", at=at, place=place)
        return output if code != -signal.SIGKILL else small.fix(starter, storage)

    assert small.each("SIGKILL before, during or after a write or removal", crash_points(noted)[::every], kill) == []
