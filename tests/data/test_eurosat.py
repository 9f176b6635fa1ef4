import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from torchvision.datasets import EuroSAT as TorchvisionEuroSAT
from torchvision.datasets import eurosat as torchvision_eurosat

from raycal.data.eurosat import EuroSat
from raycal.errors import InputError


def make(root: Path | None, *, seed: int = 0, **options: object) -> EuroSat:
    return EuroSat(seed=seed, image_size=32, root=None if root is None else str(root), **options)  # type: ignore[arg-type]


def test_images_and_labels_are_those_torchvision_reads(eurosat_root: Path) -> None:
    dataset = make(eurosat_root, download=False).load()
    reference = TorchvisionEuroSAT(eurosat_root)

    assert dataset.images.shape == (100, 64, 64, 3)
    assert np.array_equal(dataset.images, np.stack([np.asarray(image) for image, _ in reference]))
    assert dataset.labels.tolist() == reference.targets
    assert dataset.class_names == tuple(reference.classes)
    assert (dataset.images[37, 5, 5] == 20 * 3 + 7).all()


def test_seeds_split_differently_and_share_one_decoding(eurosat_root: Path, count_decoded: list[Path]) -> None:
    first, again, other = (make(eurosat_root, seed=seed).load() for seed in (0, 0, 1))

    assert (first.num_train, first.num_test) == (80, 20)
    assert np.array_equal(first.test_rows, again.test_rows)
    assert not np.array_equal(first.test_rows, other.test_rows)
    assert np.array_equal(first.images, other.images)
    assert len(count_decoded) == 100


def test_inspect_counts_what_is_there_and_knows_what_is_not(eurosat_root: Path) -> None:
    there, absent = make(eurosat_root).inspect(), make(None).inspect()
    assert (there.num_train, there.num_test, there.num_classes, there.class_sizes) == (80, 20, 10, (10,) * 10)
    assert (absent.num_train, absent.num_test, absent.num_classes) == (21_600, 5_400, 10)
    assert str(absent) == "eurosat: 10 classes, 21,600 train, 5,400 test"


def test_another_number_of_images_than_eurosat_has_is_told(
    eurosat_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(eurosat_root).load()

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{eurosat_root}/eurosat/2750: 100 images; EuroSAT has 27000"
    ]


def test_missing_folder_is_refused_when_nothing_may_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        make(tmp_path, download=False).inspect()

    assert str(refused.value) == (
        f"eurosat: {tmp_path}/eurosat/2750: no such folder; set download: true,"
        " or root to the folder that holds eurosat/2750"
    )


def test_failed_download_is_one_line_that_says_what_else_to_do(
    raycal_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urlopen(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)

    with pytest.raises(InputError) as refused:
        make(None).load()

    root = raycal_cache / "downloads"
    assert str(refused.value) == (
        f"eurosat: the download to {root} failed (<urlopen error no route to host>); put https://huggingface.co/"
        f"datasets/torchgeo/eurosat/resolve/main/EuroSAT.zip into {root}/eurosat, or use dataset:"
        " {name: image_folder, root: ...}"
    )
    assert [path.name for path in root.iterdir()] == [".eurosat.lock"]


def test_archive_in_the_folder_is_unpacked_without_a_download(
    eurosat_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "only-archive"
    (target / ".eurosat-partial" / "left" / "by" / "a" / "kill").mkdir(parents=True)
    archive = shutil.make_archive(str(target / "eurosat" / "EuroSAT"), "zip", eurosat_root / "eurosat", "2750")
    unpack = torchvision_eurosat.download_and_extract_archive
    monkeypatch.setattr(
        torchvision_eurosat,
        "download_and_extract_archive",
        lambda url, **kwargs: unpack(url, **{**kwargs, "md5": None}),
    )

    dataset = make(target).load()

    assert len(dataset.images) == 100
    assert Path(archive).is_file()
    assert not (target / ".eurosat-partial").exists()
