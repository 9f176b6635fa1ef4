"""Datasets that the library of Hugging Face reads, made with this library: hub caches, folders and Parquet files."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.data.manifest import differences, manifest_of
from raycal.data.pictures import Pictures
from raycal.errors import InputError

library = pytest.importorskip("datasets")

CLASSES = ["crow", "jay", "tit"]


def encoded(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def images(first: int, number: int, labels: list[Any] | None = None, **more: list[Any]) -> Any:
    """Images with the red values from `first` on; image i is of the class i % 3."""
    reds = range(first, first + number)
    columns = {
        "image": [{"bytes": encoded(red), "path": None} for red in reds],
        "label": [red % 3 for red in reds] if labels is None else labels,
        **more,
    }
    features = library.Features(
        {
            "image": library.Image(),
            "label": library.ClassLabel(names=CLASSES)
            if labels is None or all(label is None or isinstance(label, int) for label in labels)
            else library.Value("string"),
            **{name: library.Value("string") for name in more},
        }
    )
    return library.Dataset.from_dict(columns, features=features)


def save(folder: Path, **splits: Any) -> Path:
    library.DatasetDict(splits).save_to_disk(str(folder))
    return folder


def make(path: Path | str, **options: Any) -> Any:
    return datasets["huggingface"](**{"seed": 0, "image_size": 8, "path": str(path), **options})


def load(path: Path | str, **options: Any) -> ImageDataset:
    loaded: ImageDataset = make(path, **options).load()
    return loaded


def inspect(path: Path | str, **options: Any) -> DatasetInfo:
    info: DatasetInfo = make(path, **options).inspect()
    return info


def refused(path: Path | str, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        make(path, **options).inspect()
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


def reds(loaded: ImageDataset, rows: Any) -> dict[int, str]:
    return {int(loaded.images[row, 0, 0, 0]): loaded.class_names[loaded.labels[row]] for row in rows}


def of_class(*numbers: int) -> dict[int, str]:
    return {red: CLASSES[red % 3] for red in numbers}


def test_splits_classes_and_images_are_those_of_the_dataset(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", train=images(0, 9), test=images(20, 6), validation=images(40, 3))

    loaded, info = load(place), inspect(place)

    assert reds(loaded, loaded.train_rows) == of_class(*range(9))
    assert reds(loaded, loaded.test_rows) == of_class(*range(20, 26))
    assert (info.num_train, info.num_test, info.class_names) == (9, 6, tuple(CLASSES))
    assert info.notes == ("images from column image, labels from label", "not used: validation")


def test_validation_split_is_used_if_the_test_split_has_no_labels(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", train=images(0, 9), validation=images(20, 6), test=images(40, 3, labels=[-1] * 3))

    assert len(load(place).test_rows) == 6
    assert inspect(place).notes[1:] == (
        "the split test has no labels and is not used",
        "validation is the test split, because there is no other with labels",
    )


def test_only_split_is_split_at_random_and_groups_stay_whole(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", all=images(0, 20, video=[f"v{red // 4}" for red in range(20)]))

    drawn = [load(place, seed=seed) for seed in range(3)]
    groups = [
        {red // 4 for red in reds(one, one.test_rows)} for one in (load(place, group="video", seed=s) for s in range(3))
    ]

    assert [one.num_test for one in drawn] == [4, 4, 4]
    assert len({tuple(reds(one, one.test_rows)) for one in drawn}) > 1
    assert all(len(of_seed) == 1 for of_seed in groups)
    assert load(place, test_fraction=0.5).num_test == 10


def test_splits_can_be_named(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", fold1=images(0, 6), fold2=images(20, 6), fold3=images(40, 6))

    assert refused(place) == ["has the splits fold1, fold2, fold3; give train: SPLIT and, if there is one, test: SPLIT"]
    loaded = load(place, train="fold3", test="fold1")
    assert reds(loaded, loaded.train_rows) == of_class(*range(40, 46))
    assert refused(place, train="fold4") == ["has no split fold4; it has fold1, fold2, fold3"]


def test_images_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", train=images(0, 6, labels=[0, -1, 1, None, 2, 1]), test=images(20, 3))

    loaded = load(place)

    assert reds(loaded, loaded.train_rows) == {0: "crow", 2: "jay", 4: "tit", 5: "jay"}
    assert "2 images without a label are left out" in inspect(place).notes


def test_labels_may_be_texts(tmp_path: Path) -> None:
    place = save(
        tmp_path / "birds", train=images(0, 4, labels=["b", "a", "b", "c"]), test=images(20, 2, labels=["a", "b"])
    )

    assert load(place).class_names == ("a", "b", "c")
    assert reds(load(place), load(place).train_rows) == {0: "b", 1: "a", 2: "b", 3: "c"}


def test_parquet_file_and_folder_of_parquet_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    images(0, 9).to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"))
    images(20, 3).to_parquet(str(tmp_path / "data" / "test-00000-of-00001.parquet"))

    one = load(tmp_path / "data" / "train-00000-of-00001.parquet")
    both = load(tmp_path / "data")

    assert one.num_train + one.num_test == 9
    assert reds(both, both.test_rows) == of_class(20, 21, 22)


def test_folder_of_images(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    for split, first in (("train", 0), ("test", 20)):
        for red in range(first, first + 6):
            write_image(tmp_path / "folder" / split / CLASSES[red % 3] / f"{red}.png", (red, 0, 0))

    loaded = load(tmp_path / "folder")

    assert reds(loaded, loaded.train_rows) == of_class(*range(6))
    assert reds(loaded, loaded.test_rows) == of_class(*range(20, 26))


def test_images_are_found_in_the_cache_and_changed_ones_are_noticed(tmp_path: Path, count_decoded: list[Path]) -> None:
    first = load(save(tmp_path / "one", train=images(0, 9), test=images(20, 3)))
    assert len(count_decoded) == 12
    other = load(save(tmp_path / "two", train=images(0, 9), test=images(20, 3)))
    assert len(count_decoded) == 12
    assert manifest_of(first).digest == manifest_of(other).digest
    changed = load(save(tmp_path / "three", train=images(1, 9), test=images(20, 3)))

    assert differences(manifest_of(first), manifest_of(changed))[0].startswith("another class: 9 images (train/0 was")


def test_pictures_are_made_from_the_array(tmp_path: Path) -> None:
    loaded = load(save(tmp_path / "one", train=images(0, 9), test=images(20, 3)))
    assert loaded.source is not None
    assert loaded.source.place is None

    with Pictures(loaded, loaded.source.place) as pictures:
        picture = np.asarray(Image.open(io.BytesIO(pictures.full(4))))
    assert (picture == (4, 0, 0)).all()


def test_broken_images_are_named(tmp_path: Path) -> None:
    broken = library.Dataset.from_dict(
        {
            "image": [{"bytes": b"no image", "path": None}]
            + [{"bytes": encoded(red), "path": None} for red in range(5)],
            "label": [0, 1, 2, 0, 1, 2],
        },
        features=images(0, 1).features,
    )
    place = save(tmp_path / "birds", train=broken, test=images(20, 3))

    with pytest.raises(InputError, match=r"birds: 1 of 9 images cannot be used: train/0 \(not an image in JPEG"):
        load(place)
    assert load(place, on_error="skip").num_train == 5


def test_columns_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    texts = library.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    place = save(tmp_path / "texts", train=texts)
    two = save(
        tmp_path / "two",
        train=images(0, 3).add_column("label2", [0, 1, 2]).cast_column("label2", library.ClassLabel(names=CLASSES)),
    )

    assert refused(place) == [
        "has no column of images, but text (string), label (int64); for texts, save it as Parquet and use dataset:"
        " {name: text, ...}"
    ]
    assert refused(place, image="picture", label="lable") == [
        "has no column picture for the images; it has text (string), label (int64)",
        "has no column lable for the labels; it has text (string), label (int64)",
    ]
    assert refused(two) == ["has 2 columns of classes: label, label2; give label: COLUMN"]
    assert load(two, label="label2").num_train == 2


def test_group_in_both_splits_is_refused(tmp_path: Path) -> None:
    place = save(tmp_path / "birds", train=images(0, 3, who=["a", "b", "b"]), test=images(20, 3, who=["b", "c", "c"]))

    assert refused(place, group="who")[0].startswith("1 group is in the training and in the test split: b; put")


def test_without_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "from raycal.data import datasets\n"
        "try:\n    datasets['huggingface'](seed=0, image_size=8, path='nobody/birds').inspect()\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)

    (line,) = done.stdout.splitlines()
    assert line.startswith(
        "InputError nobody/birds: there is no such folder, it is not in the cache of this machine, and the hub cannot"
        " be reached"
    )
    assert line.endswith("and give path: DIR")


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == [
        "No such file or directory; give a folder, a Parquet file, or a name on the hub"
    ]


def test_splits_with_other_columns_are_not_used_and_other_types_refused(tmp_path: Path) -> None:
    place = save(tmp_path / "a", train=images(0, 6), test=images(20, 3).remove_columns("label"))
    mixed = save(tmp_path / "b", train=images(0, 6), test=images(20, 3, labels=["crow", "jay", "tit"]))

    assert inspect(place).notes[0] == "the split test has no column label, and is not used"
    assert refused(mixed)[0].startswith("column label: is ClassLabel(names=['crow', 'jay', 'tit']")
