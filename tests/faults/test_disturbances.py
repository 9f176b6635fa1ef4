"""Disturbs sweeps: their disk is full, they are killed at any moment, or they are started twice at a time. Once a sweep
is resumed, it must end as if undisturbed."""

import errno
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from disturbed import Disturbed, operations
from faults import killed_at_random
from processes import Starter

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(1200)]


def writes(disturbed: Disturbed) -> list[str]:
    return [operation for operation in operations(disturbed) if operation.startswith("write")]


def full_disk(disturbed: Disturbed, places: range) -> list[str]:
    """Start one sweep for each of these writes, with a disk that is full from this write on. Then resume the sweep with
    room on the disk."""

    def fill(starter: Starter, at: int) -> str | None:
        storage = disturbed.storage(f"full-{at}")
        code, output = disturbed.start(starter, storage, kind="fail", at=at, times=10**6, error=errno.ENOSPC)
        if code not in (1, 2) or "No space left on device" not in output or "Traceback" in output:
            return f"exit code {code}: {output}"
        return disturbed.fix(starter, storage)

    return disturbed.each("disk full from a write on", places, fill)


@pytest.mark.slow
def test_disk_full_at_some_writes(small: Disturbed) -> None:
    assert full_disk(small, range(0, 15, 4)) == []


@pytest.mark.long
def test_disk_full_at_every_write(small: Disturbed) -> None:
    assert full_disk(small, range(len(writes(small)))) == []


@pytest.mark.long
def test_write_that_fails_once(small: Disturbed) -> None:
    """Pictures are not compared, because an experiment is complete even without a picture that could not be written."""
    places = [at for at, operation in enumerate(writes(small)) if "/clusters/" not in operation]

    def fail(starter: Starter, at: int) -> str | None:
        storage = small.storage(f"once-{at}")
        code, output = small.start(starter, storage, kind="fail", at=at, times=1, error=errno.EIO)
        if code not in (1, 2) or "Input/output error" not in output or "Traceback" in output:
            return f"exit code {code}: {output}"
        return small.fix(starter, storage)

    assert small.each("write that fails once with EIO", places, fail) == []


@pytest.mark.slow
def test_killed_at_random_moments(small: Disturbed) -> None:
    assert killed_at_random(small, 5, seed=1) == []


@pytest.mark.long
def test_killed_at_many_random_moments(larger: Disturbed) -> None:
    assert killed_at_random(larger, 50, seed=2) == []


def stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ledger/iteration-001.parquet", pytest.param("clusters/iteration-000.png", marks=pytest.mark.long)]
)
def test_start_that_slept_while_another_took_its_folder_writes_nothing(small: Disturbed, name: str) -> None:
    if len(small.starters) < 2:
        pytest.skip("needs two processors")
    noted = operations(small)
    at = next(number for number, operation in enumerate(noted) if operation.endswith(name))
    storage = small.storage(f"slept-{Path(name).stem}")
    sleeper, other = small.starters[:2]
    log = storage.with_suffix(".sleeper.log")
    fault = {"kind": "stop", "at": at, "place": "after"}
    pid = sleeper.begin(log, *small.arguments(storage), fault=fault)
    while not stopped(pid):
        time.sleep(0.05)
    code, output = small.start(other, storage, kind="unlocked")
    assert code == 0, output
    os.kill(pid, signal.SIGCONT)

    assert sleeper.end() == 1, log.read_text()
    folder = storage / "small"
    assert log.read_text().splitlines()[-1] == f"another start of this sweep now owns {folder}; this process has ended"
    assert not list(folder.glob("*/error.txt"))
    # The stopped start may have written a state, which the next start removes.
    assert small.fix(other, storage) is None
