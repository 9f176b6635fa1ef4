"""Tests that raycal notices a change of a file's content even if its size and times stay the same."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from raycal.data import datasets
from raycal.data.content import content_digest, digest_of, file_digests
from raycal.errors import InputError

NAMES = ["00.png", "01.png"]


def reds(root: Path, *, content: str | None = None) -> dict[str, int]:
    """The red value of every image by its name."""
    loaded = datasets["image_folder"](seed=0, image_size=16, root=str(root)).load(content=content)
    assert loaded.source is not None
    return dict(zip(loaded.source.names, loaded.images[:, 0, 0, 0].tolist(), strict=True))


def exchange(first: Path, second: Path) -> None:
    """Exchange two files by renaming, so that each keeps its size, time and inode."""
    third = first.with_suffix(".tmp")
    first.rename(third)
    second.rename(first)
    third.rename(second)


def unpack(first: Path, second: Path) -> None:
    """Exchange the content of two files by new files, as unpacking another version of an archive does."""
    contents = first.read_bytes(), second.read_bytes()
    for path, content in zip((first, second), reversed(contents), strict=True):
        path.unlink()
        path.write_bytes(content)


def overwrite(first: Path, second: Path) -> None:
    """Exchange the content of two files in place, so that the inodes stay."""
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])


@pytest.mark.parametrize("change", [exchange, unpack, overwrite])
def test_files_exchanged_under_one_size_and_time_are_decoded_anew(
    change: Callable[[Path, Path], None], flat_root: Path
) -> None:
    first, second = flat_root / "ant" / "03.png", flat_root / "bee" / "17.png"
    for path in (first, second):
        path.write_bytes(path.read_bytes().ljust(100, b"\0"))  # Decoders ignore bytes after the image.
        os.utime(path, (1_000_000_000, 1_000_000_000))
    before = reds(flat_root)
    assert (before["ant/03.png"], before["bee/17.png"]) == (3, 17)

    change(first, second)
    for path in (first, second):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    after = reds(flat_root)

    assert (after["ant/03.png"], after["bee/17.png"]) == (17, 3)
    assert {name: red for name, red in after.items() if before[name] != red}.keys() == {"ant/03.png", "bee/17.png"}


def test_times_that_all_differ_decode_nothing_again(flat_root: Path, count_decoded: list[Path]) -> None:
    reds(flat_root)
    for path in flat_root.rglob("*.png"):
        os.utime(path, (1, 1))
    reds(flat_root)

    assert len(count_decoded) == 20


def test_moved_folder_is_not_decoded_again(flat_root: Path, count_decoded: list[Path]) -> None:
    before = reds(flat_root)
    moved = flat_root.rename(flat_root.with_name("moved"))

    assert reds(moved) == before
    assert len(count_decoded) == 20


def test_known_content_is_taken_from_the_cache_without_reading_a_file(
    flat_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = datasets["image_folder"](seed=0, image_size=16, root=str(flat_root)).load()
    assert loaded.source is not None

    def read(*arguments: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("raycal.data.decode.file_digests", read)
    assert reds(flat_root, content=loaded.source.content)["bee/17.png"] == 17


def test_other_files_than_those_of_the_known_content_are_refused(flat_root: Path) -> None:
    loaded = datasets["image_folder"](seed=0, image_size=16, root=str(flat_root)).load()
    assert loaded.source is not None
    (flat_root / "ant" / "new.png").write_bytes((flat_root / "ant" / "00.png").read_bytes())

    with pytest.raises(
        InputError, match=r"flat: the files on this node differ from those that the sweep was started with"
    ):
        reds(flat_root, content=loaded.source.content)


def test_file_that_changes_while_it_is_decoded_leaves_no_entry(
    flat_root: Path, monkeypatch: pytest.MonkeyPatch, raycal_cache: Path
) -> None:
    from raycal.data import decode

    real = decode.decode_image

    def changing(path: Path, *, side: int) -> object:
        decoded = real(path, side=side)
        if path.name == "00.png":
            path.write_bytes(path.read_bytes() + b"\0")
        return decoded

    monkeypatch.setattr(decode, "decode_image", changing)
    with pytest.raises(InputError, match="files changed while they were decoded; start again"):
        reds(flat_root)
    assert not [path for path in (raycal_cache / "arrays").iterdir() if path.is_dir()]


def test_digests_are_those_of_the_files_in_order(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(bytes([number]) * 1000)

    digests = file_digests(tmp_path, [*NAMES, "gone.png"])

    assert digests.dtype == np.uint8
    assert [row.tobytes() for row in digests] == [digest_of(b"\0" * 1000), digest_of(b"\1" * 1000), bytes(16)]


def test_more_files_than_one_task_takes_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.data.content.FILES_PER_TASK", 3)
    names = [f"{number}.bin" for number in range(10)]
    for name in names:
        (tmp_path / name).write_text(name)

    assert [row.tobytes() for row in file_digests(tmp_path, names)] == [digest_of(name.encode()) for name in names]


def test_content_differs_with_names_order_and_bytes(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(bytes([number]))
    digests = file_digests(tmp_path, NAMES)

    contents = {
        content_digest(NAMES, digests),
        content_digest(NAMES, digests[::-1]),
        content_digest(NAMES[::-1], digests[::-1]),
        content_digest(["00.png", "1.png"], digests),
    }
    assert len(contents) == 4
