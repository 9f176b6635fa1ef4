"""Tests which files are read again although their digests were computed before."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from raycal.data import remembered
from raycal.data.content import digest_of
from raycal.data.remembered import remembered_digests

FILES = ("a", "b", "c")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files. Their digests may be remembered at once, although the files were just written."""
    monkeypatch.setattr(remembered, "SETTLED_NS", -(10**12))
    for name in FILES:
        (tmp_path / "files" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_text(name)
    return tmp_path / "files"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets the name of every file that is read."""
    names: list[str] = []
    real = remembered.file_digests

    def counting(root: Path, files: list[str]) -> object:
        names.extend(files)
        return real(root, files)

    monkeypatch.setattr(remembered, "file_digests", counting)
    return names


def contents(root: Path, files: tuple[str, ...] = FILES) -> list[bytes]:
    return [digest.tobytes() for digest in remembered_digests(root, files)]


def test_unchanged_files_are_read_once(root: Path, read: list[str]) -> None:
    expected = [digest_of(name.encode()) for name in FILES]

    assert contents(root) == expected
    assert contents(root) == expected
    assert contents(root, ("c", "a")) == [expected[2], expected[0]]
    assert read == [*FILES]


def test_changed_new_and_moved_files(root: Path, read: list[str]) -> None:
    contents(root)
    read.clear()
    status = (root / "a").stat()
    (root / "a").write_text("x")  # The new content has the same size.
    os.utime(root / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    (root / "d").write_text("d")
    (root / "b").rename(root / "e")

    assert contents(root, ("a", "c", "d", "e")) == [digest_of(name.encode()) for name in "xcdb"]
    assert read[:2] == ["a", "d"]
    assert "c" not in read


def test_missing_file_is_not_remembered(root: Path, read: list[str]) -> None:
    (root / "b").unlink()
    assert contents(root)[1] == bytes(16)
    (root / "b").write_text("b")

    assert contents(root)[1] == digest_of(b"b")
    assert read == [*FILES, "b"]


def test_time_before_1970_is_remembered(root: Path, read: list[str]) -> None:
    os.utime(root / "a", ns=(0, -(10**18)))

    assert contents(root) == contents(root) == [digest_of(name.encode()) for name in FILES]
    assert read == [*FILES]


def test_file_that_has_just_changed_is_read_again(root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SETTLED_NS", 2 * 10**9)
    for _ in range(2):
        contents(root)
    assert read == [*FILES, *FILES]

    later = time.time_ns() + 3 * 10**9
    monkeypatch.setattr(remembered.time, "time_ns", lambda: later)
    for _ in range(2):
        contents(root)
    assert read == [*FILES] * 3


def test_damaged_record_is_not_used(root: Path, raycal_cache: Path, read: list[str]) -> None:
    expected = contents(root)
    (path,) = (raycal_cache / "digests").iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:60], bytes([whole[0] ^ 1]) + whole[1:], whole[:50] + b"x" + whole[51:]):
        path.write_bytes(damaged)
        read.clear()
        assert contents(root) == expected
        assert read == [*FILES]
        assert path.read_bytes() == whole


def test_cache_that_cannot_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "file"))

    assert contents(root) == [digest_of(name.encode()) for name in FILES]


def test_no_files(root: Path) -> None:
    assert np.array_equal(remembered_digests(root, ()), np.zeros((0, 16), np.uint8))
