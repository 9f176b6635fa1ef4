import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from raycal.data.cifar10 import Cifar10
from raycal.data.image_dataset import ImageDataset
from raycal.errors import InputError


def make(root: Path | None, **options: object) -> Cifar10:
    return Cifar10(seed=0, image_size=32, root=None if root is None else str(root), **options)  # type: ignore[arg-type]


def load(root: Path, **options: object) -> ImageDataset:
    return make(root, download=False, **options).load()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(*args: object, **kwargs: object) -> None:
        raise URLError("no route\nto host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


def test_images_and_labels_are_those_of_the_files_in_order(cifar10_root: Path) -> None:
    dataset = load(cifar10_root)

    assert dataset.images.shape == (60, 32, 32, 3)
    assert dataset.images[0, 5, 31].tolist() == [1 + 31, 2 + 31, 3 + 31]
    assert dataset.images[57, 0, 2].tolist() == [58 + 2, 116 + 2, 174 + 2]
    assert np.array_equal(dataset.labels, np.arange(60) * 7 % 10)
    assert np.array_equal(dataset.train_rows, np.arange(50))
    assert np.array_equal(dataset.test_rows, np.arange(50, 60))
    assert dataset.class_names[:2] == ("airplane", "automobile")


def test_second_load_reads_the_memory_mapped_cache(cifar10_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(cifar10_root)
    monkeypatch.setattr(CIFAR10, "__init__", None)
    second = load(cifar10_root)

    assert np.array_equal(first.images, second.images)
    assert isinstance(second.images, np.memmap)


def test_subsets_are_rows_of_the_same_cache(cifar10_root: Path) -> None:
    dataset = load(cifar10_root, train_size=7, test_size=3)

    assert len(dataset.images) == 60
    assert (dataset.num_train, dataset.num_test) == (7, 3)
    assert dataset.train_rows.max() < 50 <= dataset.test_rows.min()
    assert np.array_equal(dataset.train_labels, dataset.train_rows * 7 % 10)


def test_sizes_are_known_before_the_download() -> None:
    info = make(None).inspect()
    assert (info.num_train, info.num_test, info.num_classes) == (50_000, 10_000, 10)
    assert str(info) == (
        "cifar10: 10 classes (airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck), 50,000 train,"
        " 10,000 test"
    )
    assert make(None, train_size=20_000).inspect().num_train == 20_000


def test_missing_folder_is_refused_when_nothing_may_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        make(tmp_path, download=False).inspect()

    assert str(refused.value) == (
        f"cifar10: {tmp_path}/cifar-10-batches-py: no such folder; set download: true,"
        " or root to the folder that holds cifar-10-batches-py"
    )


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"\x80"), Path.unlink], ids=["changed", "gone"])
def test_damaged_file_is_refused_when_nothing_may_be_downloaded(
    cifar10_root: Path, damage: Callable[[Path], object]
) -> None:
    damage(cifar10_root / "cifar-10-batches-py" / "data_batch_3")

    with pytest.raises(InputError) as refused:
        load(cifar10_root)

    assert str(refused.value) == (
        f"cifar10: {cifar10_root}/cifar-10-batches-py: a file is missing or has a wrong checksum; set download: true,"
        " or unpack https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz there"
    )


@pytest.mark.usefixtures("offline")
def test_failed_download_is_one_line_that_says_what_else_to_do(raycal_cache: Path) -> None:
    with pytest.raises(InputError) as refused:
        make(None).load()

    assert str(refused.value) == (
        f"cifar10: the download to {raycal_cache}/downloads failed (<urlopen error no route to host>);"
        " put https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz into that folder,"
        " or use dataset: {name: image_folder, root: ...}"
    )
    assert not list((raycal_cache / "arrays").glob("*.partial"))


@pytest.mark.usefixtures("offline")
def test_archive_in_the_folder_is_unpacked_without_a_download(
    cifar10_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets.utils import calculate_md5

    target = tmp_path / "only-archive"
    target.mkdir()
    archive = shutil.make_archive(
        str(target / "cifar-10-python"), "gztar", root_dir=cifar10_root, base_dir="cifar-10-batches-py"
    )
    monkeypatch.setattr(CIFAR10, "tgz_md5", calculate_md5(archive))

    dataset = make(target).load()

    assert dataset.images[57, 0, 2].tolist() == [60, 118, 176]
