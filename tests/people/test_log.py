"""Tests that the log loses no acknowledged event and holds no event twice, wherever a crash or an error happens."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from raycal.errors import InputError
from raycal.people.events import ClassAdded, Event
from raycal.people.log import ANSWERS, AnswerLog, GroupCommit, NotStoredError, read_events
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease


class CrashError(BaseException):
    """Stands for the death of the process. It is not derived from `Exception`, so no code of raycal handles it."""


def event(number: int) -> ClassAdded:
    return ClassAdded(seq=number, id=f"id{number}", who="ana", time="", name=f"c{number}", label=number)


def write(log: AnswerLog, numbers: Sequence[int]) -> None:
    for number in numbers:
        log.write([event(number)])


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


def files(run: Folder) -> list[str]:
    return run.folder(ANSWERS).names()


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], Callable[[], None]]:
    """Arranges a crash at the nth write or removal of a file, before, in the middle of or after it."""
    write_file, remove_file = Folder.write, Folder.remove

    def arrange(number: int, moment: str) -> Callable[[], None]:
        count = iter(range(1_000_000))

        def disturbed(original: Callable[..., None], folder: Folder, *args: Any) -> None:
            if next(count) != number:
                original(folder, *args)
                return
            # A temporary file with half of the content stays, as after a power cut.
            if moment == "middle" and original is write_file:
                name, content = args
                path = Path(folder.path) / f".{name}.tmp"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content[: len(content) // 2])
            elif moment == "after":
                original(folder, *args)
            raise CrashError

        monkeypatch.setattr(Folder, "write", lambda folder, *args: disturbed(write_file, folder, *args))
        monkeypatch.setattr(Folder, "remove", lambda folder, *args: disturbed(remove_file, folder, *args))

        def undo() -> None:
            monkeypatch.setattr(Folder, "write", write_file)
            monkeypatch.setattr(Folder, "remove", remove_file)

        return undo

    return arrange


def test_events_are_read_in_their_order(run: Folder) -> None:
    assert read_events(run) == []
    with AnswerLog(run) as log:
        log.write([event(1), event(2)])
        log.write([event(3)])
        assert files(run) == ["00000001.jsonl", "00000002.jsonl"]
    assert read_events(run) == [event(1), event(2), event(3)]
    with AnswerLog(run) as log:
        assert log.events == [event(1), event(2), event(3)]
        log.write([event(4)])
    assert files(run)[-1] == "00000003.jsonl"
    assert [one.seq for one in read_events(run)] == [1, 2, 3, 4]


def test_files_are_joined_and_later_files_have_later_numbers(run: Folder) -> None:
    with AnswerLog(run) as log:
        write(log, range(1, 6))
        log.join_files()
        assert files(run) == ["00000001-00000005.jsonl"]
        log.join_files()
        write(log, [6])
        log.join_files()
        assert files(run) == ["00000001-00000005.jsonl", "00000006.jsonl"]
        write(log, [7])
        log.join_files()
    assert files(run) == ["00000001-00000005.jsonl", "00000006-00000007.jsonl"]
    assert read_events(run) == [event(number) for number in range(1, 8)]
    with AnswerLog(run) as log:
        write(log, [8])
    assert files(run)[-1] == "00000008.jsonl"


def test_files_are_joined_while_answers_arrive(run: Folder) -> None:
    with AnswerLog(run, files_to_join=16) as log:
        for number in range(1, 201):
            write(log, [number])
            assert len(read_events(run)) == number
    assert read_events(run) == [event(number) for number in range(1, 201)]
    assert len(files(run)) < 60


def test_files_of_earlier_starts_are_joined_too(run: Folder) -> None:
    for number in range(1, 5):
        with AnswerLog(run, files_to_join=4) as log:
            write(log, [number])
    assert files(run) == ["00000001-00000004.jsonl"]


@pytest.mark.parametrize("moment", ["before", "middle", "after"])
def test_crash_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, crash_at: Callable[[int, str], Callable[[], None]], moment: str
) -> None:
    """The log writes five times, joins the files, and writes twice more. The test disturbs each write and removal
    once."""
    for number in range(100):
        run = Folder.at(str(tmp_path / str(number)))
        undo = crash_at(number, moment)
        acknowledged: list[Event] = []
        log = None
        try:
            log = AnswerLog(run)
            for seq in (1, 2, 3, 4, 5):
                log.write([event(seq)])
                acknowledged.append(event(seq))
            log.join_files()
            for seq in (6, 7):
                log.write([event(seq)])
                acknowledged.append(event(seq))
            crashed = False
        except CrashError:
            crashed = True
        undo()
        if log is not None:
            log.close()  # After a real crash, the operating system would release the lock.
        if not crashed:
            # The operations are the owner record, 5 writes, the joined file, 5 removals and 2 writes.
            assert number == 1 + 5 + 1 + 5 + 2
            return
        found = read_events(run)
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        with AnswerLog(run) as log:
            assert log.events == found
            assert not [name for name in files(run) if "-" in name and len(files(run)) > 3]
            log.write([event(len(found) + 1)])
            log.join_files()
        assert read_events(run) == [*found, event(len(found) + 1)]
    raise AssertionError("the crashes never ended")


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace"])
def test_full_disk_is_a_clear_error_and_nothing_is_stored(
    run: Folder, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with AnswerLog(run) as log:
        write(log, [1])
        for _ in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(place, full)
                with pytest.raises(
                    NotStoredError, match=r"^The answers could not be stored: No space left on device\."
                ):
                    log.write([event(2)])
            assert read_events(run) == [event(1)]
        log.write([event(2)])
    assert read_events(run) == [event(1), event(2)]


def test_file_that_appears_although_its_write_failed_is_removed(run: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file = Folder.write

    def failing(folder: Folder, name: str, content: bytes) -> None:
        write_file(folder, name, content)
        raise TimeoutError("the answer of the object store was lost")

    with AnswerLog(run) as log:
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "write", failing)
            with pytest.raises(NotStoredError, match="the answer of the object store was lost"):
                log.write([event(1), event(2)])
        assert read_events(run) == []
        log.write([event(1)])
    assert read_events(run) == [event(1)]


def test_full_disk_while_files_are_joined_is_no_error(run: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file = Folder.write

    def full_for_joined(folder: Folder, name: str, content: bytes) -> None:
        if "-" in name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_file(folder, name, content)

    monkeypatch.setattr(Folder, "write", full_for_joined)
    with AnswerLog(run, files_to_join=3) as log:
        write(log, range(1, 8))
    assert len(files(run)) == 7
    assert read_events(run) == [event(number) for number in range(1, 8)]


def test_second_server_is_refused(run: Folder) -> None:
    with AnswerLog(run) as log:
        write(log, [1])
        with pytest.raises(InputError, match="another process is serving this project"):
            AnswerLog(run)
        write(log, [2])
    AnswerLog(run).close()


def test_another_thread_can_close_the_log(run: Folder) -> None:
    log = AnswerLog(run)
    thread = threading.Thread(target=log.close)
    thread.start()
    thread.join()

    AnswerLog(run).close()


def test_server_whose_project_was_taken_over_stores_nothing(run: Folder) -> None:
    """A remote filesystem has no locks, so the server learns only from the owner record that its project was taken
    over."""
    with AnswerLog(run) as log:
        write(log, [1, 2])
        Lease.take(run.folder("people"))
        with pytest.raises(NotStoredError, match="Another server has opened this project"):
            log.write([event(3)])
        log._join_if_possible()
    assert files(run) == ["00000001.jsonl", "00000002.jsonl"]


def test_remote_log_is_taken_over_by_the_newer_server() -> None:
    """On a filesystem without locks, the older server may still run somewhere."""
    run = Folder.at("mock:///bucket")
    with AnswerLog(run) as older:
        write(older, [1, 2])
        with AnswerLog(run) as newer:
            assert newer.events == [event(1), event(2)]
            with pytest.raises(NotStoredError, match="Another server"):
                older.write([event(3)])
            write(newer, [3, 4])
            newer.join_files()
    assert files(run) == ["00000001-00000004.jsonl"]
    assert read_events(run) == [event(number) for number in range(1, 5)]


def test_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")

    with pytest.raises(InputError, match=r"run/people"):
        AnswerLog(Folder.at(str(tmp_path / "run")))


def test_damaged_line_is_named_and_the_lock_is_free_again(run: Folder) -> None:
    with AnswerLog(run) as log:
        write(log, [1])
    path = Path(run.path) / ANSWERS / "00000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type": "answ\n')

    with pytest.raises(InputError, match=r"00000001\.jsonl:2: this version of raycal cannot read this line"):
        AnswerLog(run)
    path.write_bytes(whole)
    with AnswerLog(run) as log:
        assert log.events == [event(1)]


def test_other_files_are_left_alone(run: Folder) -> None:
    run.folder(ANSWERS).write("notes.jsonl", b"mine")
    with AnswerLog(run) as log:
        write(log, [1, 2])
        log.join_files()
    assert files(run) == ["00000001-00000002.jsonl", "notes.jsonl"]


def test_reader_sees_everything_while_files_are_joined(run: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are joined after the reader has listed them, and before it opens the first one."""
    read_file = Folder.read
    with AnswerLog(run) as log:
        write(log, range(1, 5))

        def late(folder: Folder, name: str, **options: Any) -> bytes | None:
            monkeypatch.setattr(Folder, "read", read_file)
            log.join_files()
            return read_file(folder, name, **options)

        monkeypatch.setattr(Folder, "read", late)
        assert read_events(run) == [event(number) for number in range(1, 5)]


def test_requests_that_arrive_together_are_handled_together() -> None:
    groups: list[list[int]] = []
    barrier = threading.Barrier(20)

    def handle(group: Sequence[int]) -> list[int]:
        groups.append(list(group))
        return [2 * one for one in group]

    commit = GroupCommit(handle, seconds=0.2)
    outcomes: dict[int, int] = {}

    def ask(number: int) -> None:
        barrier.wait()
        outcomes[number] = commit(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {number: 2 * number for number in range(20)}
    assert sorted(number for group in groups for number in group) == list(range(20))
    assert len(groups) <= 3


def test_error_reaches_all_of_its_group_and_later_requests_are_handled() -> None:
    is_broken = True

    def handle(group: Sequence[int]) -> list[int]:
        if is_broken:
            raise NotStoredError("no space")
        return list(group)

    commit = GroupCommit(handle, seconds=0)
    for _ in range(2):
        with pytest.raises(NotStoredError, match="no space"):
            commit(1)
    is_broken = False
    assert commit(7) == 7
