"""Kills a sweep whose storage is an object store, or lets the store fail. Once the sweep is resumed, nothing may differ
from an undisturbed sweep."""

import signal
from collections.abc import Iterator

import pytest
from disturbed import Disturbed, comparable, files, operations
from faults import crash_points
from object_store import ObjectStore
from processes import Starter

from raycal.storage.folder import Folder

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def no_fault_is_left(object_store: ObjectStore) -> Iterator[None]:
    yield
    object_store.fail(0)


@pytest.mark.slow
def test_files_are_those_of_a_folder_on_this_machine(small: Disturbed, remote: Disturbed) -> None:
    assert remote.whole == small.whole


@pytest.mark.parametrize(
    "every", [pytest.param(36, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"]
)
def test_kill_at_operations(remote: Disturbed, every: int) -> None:
    def kill(starter: Starter, point: tuple[int, str]) -> str | None:
        at, place = point
        storage = remote.storage(f"{at}-{place}")
        code, output = remote.start(starter, storage, kind="crash", at=at, place=place)
        return output if code != -signal.SIGKILL else remote.fix(starter, storage)

    points = crash_points(operations(remote))[::every]
    assert remote.each("object store: SIGKILL before, during or after a write or removal", points, kill) == []


@pytest.mark.slow
def test_store_that_fails_for_a_moment_is_asked_again(remote: Disturbed, object_store: ObjectStore) -> None:
    storage = remote.storage("moment")
    object_store.fail(2, after=30)
    code, output = remote.start(remote.starters[0], storage)

    assert code == 0, output
    assert remote.difference(storage) is None


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(range(0, 120, 80), marks=pytest.mark.slow),
        pytest.param(range(5, 150, 10), marks=pytest.mark.long),
    ],
    ids=["some", "many"],
)
def test_store_that_is_gone(remote: Disturbed, object_store: ObjectStore, requests: range) -> None:
    """The store stops answering at some request. When the store answers again, the sweep is resumed."""
    starter = remote.starters[0]
    for answered in requests:
        storage = remote.storage(f"gone-{answered}")
        object_store.fail(10**9, after=answered)
        code, output = remote.start(starter, storage)
        object_store.fail(0)
        assert code in (1, 2), output
        assert "Traceback" not in output
        assert remote.fix(starter, storage) is None


@pytest.mark.slow
def test_report_lies_in_the_store(remote: Disturbed) -> None:
    storage = remote.storage("report")
    code, output = remote.start(remote.starters[0], storage, kind="none", report=True)

    assert code == 0, output
    folder = Folder.at(remote.place(storage)).folder("small")
    assert f"report  s3://{folder.path}/report/report.html" in output
    assert f"folder  s3://{folder.path}" in output
    report = {name: content for name, content in files(folder).items() if name.startswith("report/")}
    assert {"report/report.html", "report/summary.csv", "report/figure2_digits.png"} <= report.keys()
    without = {name: content for name, content in files(folder).items() if name not in report}
    assert comparable(without).items() <= remote.whole.items()
