"""Tests that a finished folder takes the place of an earlier export, and of no other folder."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raycal.errors import InputError
from raycal.export.replace import MARKER, ExportFailedError, check_target, replaced


def export(target: Path, text: str = "one") -> None:
    with replaced(target) as folder:
        (folder / "train" / "a").mkdir(parents=True)
        (folder / "train" / "a" / "1.png").symlink_to("../../../elsewhere.png")
        (folder / "labels.csv").write_text(text)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more than this many bytes to a file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_new_folder_is_put_in_place_and_replaced(tmp_path: Path) -> None:
    export(tmp_path / "deep" / "out")
    export(tmp_path / "deep" / "out", "two")

    assert (tmp_path / "deep" / "out" / "labels.csv").read_text() == "two"
    assert os.readlink(tmp_path / "deep" / "out" / "train" / "a" / "1.png") == "../../../elsewhere.png"
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(tmp_path / "out")

    assert sorted(os.listdir(tmp_path / "out")) == [MARKER, "labels.csv", "train"]


@pytest.mark.parametrize("marker", [None, "not json", "[]", '{"format": "raycal export"}', '{"files": {}}'])
def test_folder_of_somebody_else_is_refused(marker: str | None, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)

    with pytest.raises(InputError, match="is not empty, and raycal did not export it"):
        export(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_file_and_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    for name in ("file", "link"):
        with pytest.raises(InputError, match="there is a file or a link of this name"):
            check_target(tmp_path / name)


def test_export_with_added_or_changed_files_is_refused(tmp_path: Path) -> None:
    export(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "labels.csv").write_text("corrected by hand")

    with pytest.raises(InputError) as refused:
        export(tmp_path / "out", "two")
    assert str(refused.value) == (
        f"{tmp_path}/out: would lose notes.txt not from raycal and labels.csv changed since the export; "
        "move these files or give another folder"
    )
    assert (tmp_path / "out" / "labels.csv").read_text() == "corrected by hand"


def test_removed_files_do_not_keep_an_export_from_being_replaced(tmp_path: Path) -> None:
    export(tmp_path / "out")
    (tmp_path / "out" / "labels.csv").unlink()
    export(tmp_path / "out", "two")

    assert (tmp_path / "out" / "labels.csv").read_text() == "two"


def test_full_disk_leaves_the_earlier_export(tmp_path: Path) -> None:
    export(tmp_path / "out")

    with files_of_at_most(1000), pytest.raises(ExportFailedError, match="cannot be written: File too large"):
        export(tmp_path / "out", "x" * 5000)
    assert (tmp_path / "out" / "labels.csv").read_text() == "one"
    assert os.listdir(tmp_path) == ["out"]


def test_interruption_leaves_the_earlier_export(tmp_path: Path) -> None:
    export(tmp_path / "out")

    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "out"):
        raise KeyboardInterrupt
    assert (tmp_path / "out" / "labels.csv").read_text() == "one"
    assert os.listdir(tmp_path) == ["out"]


def test_export_that_a_killed_process_moved_away_comes_back(tmp_path: Path) -> None:
    export(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old-export")
    (tmp_path / ".out.new-export").mkdir()

    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "out"):
        raise ZeroDivisionError
    assert (tmp_path / "out" / "labels.csv").read_text() == "one"
    assert os.listdir(tmp_path) == ["out"]


def test_folder_below_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(InputError) as refused:
        export(tmp_path / "file" / "out")
    assert len(refused.value.problems) == 1
    assert str(refused.value).startswith(f"{tmp_path}/file/out: cannot be ")


def test_second_export_at_the_same_time_is_refused(tmp_path: Path) -> None:
    with replaced(tmp_path / "out"), pytest.raises(InputError, match="another process is exporting to this folder"):
        export(tmp_path / "out")


def test_place_that_cannot_be_written_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(InputError, match=r"^/proc/out: cannot be written: "):
        check_target(Path("/proc/out"))


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_target(tmp_path / "deep" / "out")

    assert os.listdir(tmp_path) == []
