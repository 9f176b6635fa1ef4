"""Tests the file with the list of the images, and that a changed file is noticed."""

from pathlib import Path

import pytest

from raycal.data.unlabeled import SampleList
from raycal.errors import InputError
from raycal.people.project_samples import read_sample_list, write_sample_list
from raycal.storage.folder import Folder

IMAGES = SampleList(names=("a.png", "b/c.png", "ü.png"), digests=("00" * 16, "ab" * 16, "ff" * 16), holdout=(2, 0))


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path))


def path_of(run: Folder) -> Path:
    return Path(run.path) / "people" / "images.json"


def test_list_is_read_as_it_was_written_and_written_once(run: Folder) -> None:
    assert read_sample_list(run) is None
    write_sample_list(run, IMAGES)
    written = path_of(run).stat().st_mtime_ns, path_of(run).read_bytes()
    write_sample_list(run, IMAGES)

    assert read_sample_list(run) == IMAGES
    assert (path_of(run).stat().st_mtime_ns, path_of(run).read_bytes()) == written
    assert written[1].count(b"\n") == 8  # one line for each image


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'["a.png", "00', b'["A.png", "00'),
        (b'"abab', b'"abac'),
        (b'"holdout": [2, 0]', b'"holdout": [0, 2]'),
        (b'"holdout": [2, 0]', b'"holdout": [2, 1]'),
        (b'"sha256": "', b'"sha256": "0'),
    ],
)
def test_changed_file_is_one_line(run: Folder, before: bytes, after: bytes) -> None:
    write_sample_list(run, IMAGES)
    content = path_of(run).read_bytes()
    assert content.count(before) == 1
    path_of(run).write_bytes(content.replace(before, after))

    with pytest.raises(InputError, match=r"people/images\.json: was changed, .*; restore it from a copy$") as error:
        read_sample_list(run)
    assert len(error.value.problems) == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.99])
def test_torn_file_is_one_line(run: Folder, share: float) -> None:
    write_sample_list(run, IMAGES)
    content = path_of(run).read_bytes()
    path_of(run).write_bytes(content[: int(share * len(content))])

    with pytest.raises(InputError, match=r"is not a list of images that raycal wrote; restore it from a copy$"):
        read_sample_list(run)


def test_file_of_an_earlier_version_has_no_digest(run: Folder) -> None:
    run.write("people/images.json", IMAGES.to_json())

    assert read_sample_list(run) == IMAGES
    write_sample_list(run, IMAGES)
    assert read_sample_list(run) == IMAGES
    assert b'"sha256": "' in path_of(run).read_bytes()
