import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from raycal.data.cache import MANIFEST, array_file, cache_dir, cached_arrays, evict
from raycal.errors import InputError

VALUES = np.arange(12, dtype=np.int64).reshape(3, 4)


class Maker:
    """Writes VALUES into a cache entry, and counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        np.save(folder / "values.npy", VALUES)


def entry(raycal_cache: Path) -> Path:
    (folder,) = (path for path in (raycal_cache / "arrays").iterdir() if path.is_dir())
    return folder


def test_cache_dir_is_the_variable_or_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("RAYCAL_CACHE", "~/images")
    assert cache_dir() == Path("/home/someone/images")
    monkeypatch.delenv("RAYCAL_CACHE")
    assert cache_dir() == Path("/home/someone/.cache/raycal")


def test_arrays_are_made_once_per_key_and_mapped_read_only() -> None:
    make = Maker()
    for _ in range(2):
        values = cached_arrays({"name": "a"}, make)["values"]
        assert np.array_equal(values, VALUES)
        assert isinstance(values, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            values[0, 0] = 1
    assert make.calls == 1

    cached_arrays({"name": "b"}, make)
    assert make.calls == 2


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"'<i8'", b"'<f8'"))


@pytest.mark.parametrize("damage", [cut, lengthen, empty, Path.unlink, flip_header])
def test_damaged_array_is_made_again(damage: Callable[[Path], None], raycal_cache: Path) -> None:
    make = Maker()
    cached_arrays({"name": "a"}, make)
    damage(entry(raycal_cache) / "values.npy")

    assert np.array_equal(cached_arrays({"name": "a"}, make)["values"], VALUES)
    assert make.calls == 2


@pytest.mark.parametrize("damage", [cut, empty, Path.unlink, lambda path: path.write_text("[1]")])
def test_entry_without_a_valid_manifest_is_made_again(damage: Callable[[Path], None], raycal_cache: Path) -> None:
    make = Maker()
    cached_arrays({"name": "a"}, make)
    damage(entry(raycal_cache) / MANIFEST)

    assert np.array_equal(cached_arrays({"name": "a"}, make)["values"], VALUES)
    assert make.calls == 2
    assert json.loads((entry(raycal_cache) / MANIFEST).read_text())["values"]["shape"] == [3, 4]


def test_what_a_killed_process_left_is_no_entry(raycal_cache: Path) -> None:
    make = Maker()
    cached_arrays({"name": "a"}, make)
    partial = entry(raycal_cache).with_suffix(".partial")
    entry(raycal_cache).rename(partial)

    assert np.array_equal(cached_arrays({"name": "a"}, make)["values"], VALUES)
    assert make.calls == 2
    assert not partial.exists()


def test_failure_while_making_leaves_nothing(raycal_cache: Path) -> None:
    def fail(folder: Path) -> None:
        np.save(folder / "values.npy", VALUES)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_arrays({"name": "a"}, fail)

    assert not [path for path in (raycal_cache / "arrays").iterdir() if path.is_dir()]


def test_full_disk_is_one_line(raycal_cache: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError) as refused:
        cached_arrays({"name": "a"}, fail)

    assert str(refused.value) == (
        f"{raycal_cache}: cannot write the cache (No space left on device);"
        " free space or set RAYCAL_CACHE to a folder that can be written"
    )


def test_folder_that_cannot_be_made_is_one_line(raycal_cache: Path) -> None:
    raycal_cache.write_text("a file")

    with pytest.raises(InputError, match=r"cannot write the cache \(Not a directory\)"):
        cached_arrays({"name": "a"}, Maker())


def kept(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir()) if path.is_dir()]


def test_least_recently_used_entries_are_removed_and_the_newest_stays(raycal_cache: Path) -> None:
    made = {}
    for age, name in enumerate(["a", "b", "c"]):
        made[name] = cached_arrays({"name": name}, Maker(), folder="kind")["values"]
        (new,) = set(kept(raycal_cache / "kind")) - set(made)
        made[new] = made.pop(name)
        os.utime(raycal_cache / "kind" / new, (1000 + age, 1000 + age))
    first, second, third = made
    cached_arrays({"name": "other kind"}, Maker())
    cached_arrays({"name": "a"}, Maker(), folder="kind")  # The entry is used again, so it now counts as the newest.
    num_bytes = sum(path.stat().st_size for path in (raycal_cache / "kind" / first).iterdir())

    evict("kind", keep_bytes=2 * num_bytes)
    assert kept(raycal_cache / "kind") == sorted([first, third])
    evict("kind", keep_bytes=0)
    assert kept(raycal_cache / "kind") == [first]
    assert len(kept(raycal_cache / "arrays")) == 1
    # The removed entries were mapped before, and are still readable.
    assert all(np.array_equal(values, VALUES) for values in made.values())
    assert second not in kept(raycal_cache / "kind")


def test_what_killed_processes_left_is_evicted_too(raycal_cache: Path) -> None:
    cached_arrays({"name": "a"}, Maker())
    for name in ("left.partial", "left.removed"):
        (raycal_cache / "arrays" / name).mkdir()
        np.save(raycal_cache / "arrays" / name / "values.npy", VALUES)
        os.utime(raycal_cache / "arrays" / name, (1000, 1000))
    evict("arrays", keep_bytes=0)

    assert len(kept(raycal_cache / "arrays")) == 1
    assert entry(raycal_cache).suffix == ""


def test_several_processes_make_an_entry_once(tmp_path: Path) -> None:
    log = tmp_path / "made.txt"
    script = f"""
import time
from pathlib import Path
import numpy as np
from raycal.data.cache import cached_arrays

def make(folder):
    with open({str(log)!r}, "a") as file:
        file.write("made\\n")
    time.sleep(0.5)
    np.save(folder / "values.npy", np.arange(5))

print(cached_arrays({{"name": "a"}}, make)["values"].sum())
"""
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]

    assert [process.communicate()[0] for process in processes] == [b"10\n"] * 3
    assert log.read_text() == "made\n"


def test_array_written_in_parts_reads_back(tmp_path: Path) -> None:
    with array_file(tmp_path / "values.npy", VALUES.shape, VALUES.dtype) as file:
        for row in VALUES:
            file.write(row.tobytes())

    assert np.array_equal(np.load(tmp_path / "values.npy"), VALUES)
