import os
import pickle
import stat
from pathlib import Path
from urllib.parse import unquote

import pytest

from raycal.errors import InputError, StorageError
from raycal.storage.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "storage"))


@pytest.fixture
def remote() -> Folder:
    """A folder on a filesystem that does not belong to this machine."""
    return Folder.at("mock:///bucket")


class CrashError(Exception):
    pass


def crash(*args: object, **options: object) -> None:
    raise CrashError


def test_what_is_written_is_read(folder: Folder) -> None:
    folder.write("a.txt", b"first")
    folder.write("below/it/b.txt", b"\x00\xff")

    assert folder.read("a.txt") == b"first"
    assert folder.read("below/it/b.txt") == b"\x00\xff"
    assert folder.folder("below/it").read("b.txt") == b"\x00\xff"


def test_second_write_replaces_the_first(folder: Folder) -> None:
    folder.write("a.txt", b"a long first content")
    folder.write("a.txt", b"short")

    assert folder.read("a.txt") == b"short"


def test_private_file_is_for_its_user_alone(folder: Folder) -> None:
    folder.write("open", b"1")
    left = Path(folder.path) / ".secret.tmp"  # This is a temporary file that a crash left.
    left.write_bytes(b"0")
    left.chmod(0o666)
    folder.write("secret", b"1", private=True)
    folder.write("secret", b"2", private=True)

    assert folder.read("secret") == b"2"
    assert stat.filemode((Path(folder.path) / "secret").stat().st_mode) == "-rw-------"
    assert stat.S_IMODE((Path(folder.path) / "open").stat().st_mode) & 0o044 == 0o044 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_file_that_is_not_there_reads_as_none(folder: Folder) -> None:
    assert folder.read("a.txt") is None
    folder.write("b.txt", b"")
    assert (folder.read("a.txt"), folder.read("b.txt")) == (None, b"")


def test_looking_creates_nothing(folder: Folder) -> None:
    folder.read("a.txt")
    folder.exists("a.txt")
    folder.names()
    folder.remove("a.txt")
    folder.folder("below")

    assert not Path(folder.path).exists()


def test_content_is_not_unpacked_whatever_the_name_says(folder: Folder) -> None:
    folder.write("a.gz", b"not packed")

    assert folder.read("a.gz") == b"not packed"


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace"])
def test_crash_while_writing_leaves_the_old_content(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder.write("a.txt", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(place, crash)
        with pytest.raises(CrashError):
            folder.write("a.txt", b"new")

    assert folder.read("a.txt") == b"old"
    assert folder.names() == ["a.txt"]
    folder.write("a.txt", b"newer")
    assert folder.read("a.txt") == b"newer"


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace"])
def test_crash_at_the_first_write_leaves_no_file(folder: Folder, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(place, crash)
    with pytest.raises(CrashError):
        folder.write("a.txt", b"new")

    assert folder.read("a.txt") is None
    assert not folder.exists("a.txt")
    assert folder.names() == []


def test_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append("fsync folder" if path.is_dir() else f"fsync {path.read_bytes().decode()}")
        fsync(descriptor)

    def noting_replace(path: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    folder.write("a.txt", b"content")

    assert steps == ["fsync content", "rename to a.txt", "fsync folder"]


def test_names_are_sorted_and_match_the_pattern(folder: Folder) -> None:
    for name in ("b.json", "a.json", "c.txt", "below/d.json", ".hidden.json"):
        folder.write(name, b"")

    assert folder.names() == ["a.json", "b.json", "c.txt"]
    assert folder.names("*.json") == ["a.json", "b.json"]
    assert folder.folder("nowhere").names() == []


def test_exists_tells_files_and_folders(folder: Folder) -> None:
    assert not folder.exists()
    folder.write("below/a.txt", b"")

    assert folder.exists()
    assert folder.exists("below")
    assert folder.exists("below/a.txt")
    assert not folder.exists("below/b.txt")


def test_removed_file_is_gone_and_may_be_removed_again(folder: Folder) -> None:
    folder.write("a.txt", b"")
    folder.remove("a.txt")
    folder.remove("a.txt")

    assert folder.read("a.txt") is None


def test_remote_folder_is_written_read_listed_and_removed(remote: Folder) -> None:
    remote.write("below/a.txt", b"first")
    remote.write("below/a.txt", b"second")
    remote.write("below/b.txt", b"")

    assert not remote.is_local
    assert remote.read("below/a.txt") == b"second"
    assert remote.folder("below").names("a*") == ["a.txt"]
    remote.remove("below/a.txt")
    assert remote.read("below/a.txt") is None
    assert (remote.exists("below/a.txt"), remote.exists("below/b.txt")) == (False, True)
    remote.remove("below/a.txt")


@pytest.mark.parametrize("place", ["{}", "file://{}", "{}/"])
def test_local_places(tmp_path: Path, place: str) -> None:
    folder = Folder.at(place.format(tmp_path))

    assert (folder.path, folder.is_local, folder.uri) == (str(tmp_path), True, str(tmp_path))


def test_relative_place_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")

    assert Folder.at("runs").path == str(tmp_path / "runs")
    assert Folder.at("~/runs").path == "/home/ada/runs"


@pytest.mark.parametrize("place", ["foo://x", "http://host/x", "://", "gs://bucket/x?unknown=1"])
def test_place_on_no_file_system_is_refused_in_one_line(place: str) -> None:
    with pytest.raises(InputError) as refused:
        Folder.at(place)

    (problem,) = refused.value.problems
    assert problem.startswith(f"--storage {place}: ")
    assert "\n" not in problem


def test_uri_keeps_the_settings_of_a_remote_file_system() -> None:
    place = "s3://bucket/runs?region=eu-west-1&scheme=http&endpoint_override=localhost:9000"

    uri = unquote(Folder.at(place).uri)

    assert uri.startswith("s3://bucket/runs")
    assert "region=eu-west-1" in uri
    assert "scheme=http" in uri
    assert "endpoint_override=localhost:9000" in uri


def test_write_that_fails_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    folder = Folder.at(str(tmp_path))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write("large", b"x" * 1000)

    assert list(tmp_path.iterdir()) == []


def test_uri_of_a_remote_folder_names_the_folder() -> None:
    folder = Folder.at("s3://bucket/runs/a?region=eu-west-1").folder("sweep")

    assert folder.uri == "s3://bucket/runs/a/sweep?region=eu-west-1"
    assert Folder.at(folder.uri).path == "bucket/runs/a/sweep"
    assert Folder.at(folder.folder(".ray").uri).path == "bucket/runs/a/sweep/.ray"


def test_all_names_are_those_of_every_folder_below(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "a"))
    assert folder.all_names() == []
    for name in ("b.txt", "c/d.txt", "c/e/f.txt", ".hidden"):
        folder.write(name, b"")

    assert folder.all_names() == ["b.txt", "c/d.txt", "c/e/f.txt"]


@pytest.mark.slow
def test_remote_that_does_not_answer_is_a_storage_error_in_one_line() -> None:
    folder = Folder.at("s3://bucket/runs?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:1")
    with pytest.raises(StorageError) as raised:
        folder.read("a")

    assert "bucket" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_place_is_the_path_or_the_uri_without_settings(tmp_path: Path) -> None:
    assert Folder.at(str(tmp_path)).place == str(tmp_path)
    assert Folder.at("s3://bucket/runs?region=eu-west-1").folder("a").place == "s3://bucket/runs/a"
