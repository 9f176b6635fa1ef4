import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import CONFIGS
from small_iterations import CONFIG, model, result

from raycal.errors import InfrastructureError, TakenOverError
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease, has_lost_its_owner
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan


@pytest.fixture(params=["local", "mock"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """The folder of a sweep, once on this machine's filesystem and once on a filesystem without locks."""
    return Folder.at(str(tmp_path / "sweep") if request.param == "local" else "mock:///bucket/sweep")


def test_each_start_counts_up_and_is_told_from_the_others(folder: Folder) -> None:
    first, second = Lease.take(folder), Lease.take(folder)

    assert [json.loads(lease.record)["epoch"] for lease in (first, second)] == [1, 2]
    assert json.loads(folder.read("owner.json") or b"") == json.loads(second.record)
    second.check()
    with pytest.raises(
        TakenOverError, match=rf"^another start of this sweep now owns {folder.place}; this process has ended$"
    ):
        first.check()


def test_two_starts_at_the_same_moment_have_one_owner(folder: Folder) -> None:
    first = Lease.take(folder)
    folder.remove("owner.json")
    second = Lease.take(folder)

    assert json.loads(first.record)["epoch"] == json.loads(second.record)["epoch"]
    with pytest.raises(TakenOverError):
        first.check()


def test_owner_is_lost_when_its_process_has_ended(folder: Folder) -> None:
    assert not has_lost_its_owner(folder)
    Lease.take(folder)
    assert not has_lost_its_owner(folder)

    script = f"from raycal.storage.lease import Lease, Folder; print(Lease.take(Folder.at({folder.place!r})).record)"
    record = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
    folder.write("owner.json", record.encode())
    assert has_lost_its_owner(folder)

    folder.write("owner.json", json.dumps(json.loads(record) | {"host": "another-machine"}).encode())
    assert not has_lost_its_owner(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"pid": 1}', b'{"host": "HOST", "pid": "x"}'])
def test_owner_of_a_damaged_record_is_not_said_to_be_lost(folder: Folder, content: bytes) -> None:
    folder.write("owner.json", content.replace(b"HOST", socket.gethostname().encode()))
    assert not has_lost_its_owner(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": null}', b'{"epoch": "many"}', b"\xff"])
def test_damaged_record_is_replaced_at_the_next_start(folder: Folder, content: bytes) -> None:
    earlier = Lease.take(folder)
    folder.write("owner.json", content)
    with pytest.raises(TakenOverError):
        earlier.check()
    Lease.take(folder).check()


def test_owner_that_was_taken_over_writes_nothing_any_more(folder: Folder) -> None:
    stale = RunWriter(folder.folder(CONFIG.experiment_id), Lease.take(folder))
    stale.begin(CONFIG)
    stale.commit(result(0), model(0))
    now = RunWriter(folder.folder(CONFIG.experiment_id), Lease.take(folder))
    now.begin(CONFIG)
    now.commit(result(1), model(1))
    before = {name: folder.read(name) for name in folder.all_names()}

    for write in (
        lambda: stale.begin(CONFIG),
        lambda: stale.commit(result(1, accuracy=0.0), b"other"),
        lambda: stale.finish("iterations"),
        lambda: stale.stop("asha"),
        lambda: stale.fail("a reason"),
    ):
        with pytest.raises(InfrastructureError, match="another start of this sweep now owns"):
            write()
    assert {name: folder.read(name) for name in folder.all_names()} == before
    now.commit(result(2), model(2))
    assert [line["iteration"] for line in now.results()] == [0, 1, 2]


def test_owner_that_slept_while_it_saved_does_not_cut_off_the_results(folder: Folder) -> None:
    place = folder.folder(CONFIG.experiment_id)
    stale = RunWriter(place, Lease.take(folder))
    stale.begin(CONFIG)
    next_start: list[RunWriter] = []

    def sleep_and_save(*saved: object) -> None:
        """Let the new owner run two iterations after the old owner has written its ledger file and before it writes its
        results line."""
        now = RunWriter(place, Lease.take(folder))
        now.begin(CONFIG)
        for iteration in range(2):
            now.commit(result(iteration), model(iteration))
        next_start.append(now)

    stale._states.save = sleep_and_save  # type: ignore[method-assign]
    with pytest.raises(TakenOverError):
        stale.commit(result(0), model(0))

    (now,) = next_start
    assert [line["iteration"] for line in now.results()] == [0, 1]


def test_plan_is_not_written_by_a_start_that_was_taken_over(folder: Folder) -> None:
    plan = SweepPlan(sweep="small", threads=1, experiments={CONFIGS[0].experiment_id: CONFIGS[0]})
    stale = SweepDir(folder, Lease.take(folder))
    stale.write_plan(plan)
    Lease.take(folder)

    with pytest.raises(TakenOverError):
        stale.write_plan(plan)


def test_record_is_all_that_another_process_needs(folder: Folder) -> None:
    record = pickle.loads(pickle.dumps(Lease.take(folder).record))

    Lease(folder, record).check()
