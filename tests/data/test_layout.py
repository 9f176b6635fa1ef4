"""Tests which folders of a folder of images are read as splits, as classes, or as neither."""

import unicodedata
from pathlib import Path

import pytest

from raycal.data.image_files import ImageTree
from raycal.data.image_folder import ImageFolder, list_images
from raycal.data.layout import Split, read_layout, split_of
from raycal.errors import InputError


def make(root: Path, *files: str) -> Path:
    """Make a folder with files of these names; `crow*3.jpg` stands for three files."""
    for file in files:
        stem, _, times = file.partition("*")
        count, suffix = times.split(".", 1) if times else ("1", "")
        for i in range(int(count)):
            path = root / (f"{stem}{i}.{suffix}" if times else file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    return root


def sizes(root: Path) -> tuple[dict[str, int], dict[str, int] | None]:
    """The number of images of each class, in the training and the test split."""
    layout = read_layout(ImageTree(root))
    train = {one.name: len(one.files) for one in layout.train}
    return train, None if layout.test is None else {one.name: len(one.files) for one in layout.test}


def notes(root: Path) -> tuple[str, ...]:
    return read_layout(ImageTree(root)).notes


def refused(root: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        list_images(root)
    return [problem.replace(str(root), "ROOT") for problem in error.value.problems]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, Split.TRAIN) for name in ("Train", "TRAINING", "training_set", "seg_train", "train-images", "trn")),
        *((name, Split.TRAIN) for name in ("TrainSet", "TrainingData", "train set", "trainset")),
        *((name, Split.TEST) for name in ("Test", "testing", "test_set", "seg_test", "TestImages")),
        *((name, Split.VAL) for name in ("val", "valid", "Validation", "eval", "val_set")),
        *((name, None) for name in ("trains", "attest", "invalid", "test_train", "set", "images", "train_station", "")),
    ],
)
def test_names_of_splits(name: str, split: Split | None) -> None:
    assert split_of(name) is split


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("Train", "Test"), ("training_set", "test_set"), ("seg_train", "seg_test"), ("TRAINING", "Testing")),
        *(("seg_train/seg_train", "seg_test/seg_test"), ("data/train", "data/test"), ("a/b/train/x", "a/b/test")),
        *(("train", "val"), ("Training", "Validation"), ("x/trn", "x/eval")),
    ],
)
def test_splits_are_found(tmp_path: Path, train: str, test: str) -> None:
    root = make(tmp_path, f"{train}/crow/*3.jpg", f"{train}/jay/*2.jpg", f"{test}/jay/*2.jpg", f"{test}/crow/*1.jpg")

    assert sizes(root) == ({"crow": 3, "jay": 2}, {"crow": 1, "jay": 2})
    listing = list_images(root)
    assert listing.labels.tolist() == [0, 0, 0, 1, 1, 0, 1, 1]
    assert listing.files[0] == f"{train}/crow/0.jpg"
    assert listing.split is not None
    assert listing.split.test.tolist() == [5, 6, 7]


def test_validation_split_is_not_used_beside_train_and_test(tmp_path: Path) -> None:
    root = make(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("train", "val", "test") for name in ("crow", "jay")))

    assert sizes(root) == ({"crow": 1, "jay": 1}, {"crow": 1, "jay": 1})
    assert notes(root) == ("only train/ and test/ are used, not val/",)


def test_validation_split_is_the_test_split_without_one(tmp_path: Path) -> None:
    root = make(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("train", "valid") for name in ("crow", "jay")))
    make(root, "test/1.jpg")  # test images without labels, as in competitions

    assert notes(root) == (
        "there is no test split with class folders, so valid/ is the test split",
        "only train/ and valid/ are used, not test/",
    )


def test_wrapper_is_passed_through(tmp_path: Path) -> None:
    root = make(tmp_path, "birds/birds/crow/*2.jpg", "birds/birds/jay/*2.jpg", "__MACOSX/birds/x.jpg")

    assert sizes(root) == ({"crow": 2, "jay": 2}, None)
    assert notes(root)[:2] == (
        "birds/ is read, as it is the only folder with images",
        "birds/birds/ is read, as it is the only folder with images",
    )
    assert notes(root)[2].startswith("skipped __MACOSX/: ")


def test_test_split_may_have_one_class(tmp_path: Path) -> None:
    root = make(tmp_path, "train/crow/1.jpg", "train/jay/1.jpg", "test/jay/2019/1.jpg")

    assert sizes(root) == ({"crow": 1, "jay": 1}, {"jay": 1})


def test_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    assert sizes(make(tmp_path, "valid/*2.jpg", "invalid/*3.jpg")) == ({"invalid": 3, "valid": 2}, None)


AMBIGUOUS: dict[str, tuple[tuple[str, ...], str]] = {
    "val alone": (("val/crow/1.jpg", "val/jay/1.jpg"), "ROOT: has val/ with class folders but no train/; add it, or"),
    "test alone": (("Test/crow/1.jpg", "Test/jay/1.jpg"), "ROOT: has Test/ with class folders but no train/; add it"),
    "train alone": (("train/crow/1.jpg", "train/jay/1.jpg"), "give ROOT/train as root to have it split at random"),
    "train in a wrapper": (("data/train/crow/1.jpg", "data/train/jay/1.jpg"), "give ROOT/data/train as root"),
    "test and val": (("test/crow/1.jpg", "val/crow/1.jpg"), "has test/ and val/ with class folders but no train/"),
    "train and a class": (("train/crow/1.jpg", "jay/1.jpg"), "but no test/ (beside it: jay/); add it, or give"),
    "train twice": (("Train/a/1.jpg", "training/a/1.jpg", "test/a/1.jpg"), "Train/ and training/ both look like the"),
    "no classes": (("train/1.jpg", "test/1.jpg"), "ROOT: test/, train/ looks like a split of a dataset, but has no"),
    "splits in classes": (
        ("crow/train/1.jpg", "crow/test/1.jpg", "jay/1.jpg"),
        "ROOT/crow: has test/ and train/ in it, so it is no class",
    ),
    "one class": (("crow/*3.jpg",), "ROOT: has only one class, crow (3 images)"),
    "one class in train": (("train/crow/1.jpg", "test/crow/1.jpg"), "ROOT: has only one class, crow (1 images)"),
    "another case": (
        ("train/Cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "test/dog/1.jpg"),
        "ROOT/test: classes that train does not have: cat; 'cat' is probably 'Cat'; both need the same",
    ),
    "a space more": (("cat/1.jpg", "cat /1.jpg"), "ROOT: the classes 'cat' and 'cat ' look alike"),
    "results": (("crow/1.jpg", "jay/1.jpg", "results/a/1.jpg"), "ROOT/results: looks like a folder of results"),
    "another format": (("crow/1.jpg", "jay/*3.heic"), "; it has 3 .heic; add some or remove it"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_is_ambiguous_is_refused(tmp_path: Path, case: str) -> None:
    files, part = AMBIGUOUS[case]

    (problem,) = refused(make(tmp_path, *files))

    assert part in problem


@pytest.mark.parametrize(
    "foreign",
    [
        *("@eaDir/x.jpg", "__MACOSX/x.jpg", "lost+found/x.jpg", "#recycle/a/x.jpg", "$RECYCLE.BIN/x.jpg"),
        *("mlruns/1/x.png", "wandb/x.png", "lightning_logs/version_0/x.png", "node_modules/a/x.png"),
        *("env/pyvenv.cfg", "runs/a/events.out.tfevents.1", "crow/@eaDir/x.jpg", "crow/2019/@eaDir/x.jpg"),
    ],
)
def test_foreign_folder_is_skipped(tmp_path: Path, foreign: str) -> None:
    root = make(tmp_path, "crow/*3.jpg", "jay/*2.jpg", "crow/2019/1.jpg", foreign)
    make(root, f"{foreign.rpartition('/')[0]}/more.png")

    assert sizes(root) == ({"crow": 4, "jay": 2}, None)
    (note,) = notes(root)
    assert note.startswith(f"skipped {foreign.rpartition('/')[0].split('/a')[0].split('/1')[0].split('/v')[0]}/: ")


@pytest.mark.parametrize("where", ["runs", "crow/deep/results", "anything"])
def test_results_of_raycal_are_skipped(tmp_path: Path, where: str) -> None:
    root = make(tmp_path, "crow/*3.jpg", "jay/*2.jpg", f"{where}/birds/random-s0/clusters/1.png")
    (root / where / "birds" / "plan.json").write_text('{"raycal": "0.1.0", "sweep": "birds", "experiments": {}}')

    assert sizes(root) == ({"crow": 3, "jay": 2}, None)
    assert notes(root)[0].startswith("skipped ")


def test_class_may_be_called_runs(tmp_path: Path) -> None:
    assert sizes(make(tmp_path, "runs/*2.jpg", "wickets/*2.jpg")) == ({"runs": 2, "wickets": 2}, None)


def test_files_that_are_not_used_are_counted(tmp_path: Path) -> None:
    root = make(
        tmp_path, "crow/*3.jfif", "jay/*2.JPE", "jay/*4.HEIC", "crow/*2.mp4", "crow/Thumbs.db", "crow/x", "a.png"
    )

    assert sizes(root) == ({"crow": 3, "jay": 2}, None)
    used, outside = notes(root)
    assert used.startswith("7 files are not used: 4 .heic, 2 .mp4, 1 without a suffix; read are .jpg, ")
    assert outside == "1 images are not used, as they lie in no class folder"


@pytest.mark.parametrize("split", ["", "train/"])
def test_spellings_of_one_name_are_one_class(tmp_path: Path, split: str) -> None:
    composed, split_up = (unicodedata.normalize(form, "Häher") for form in ("NFC", "NFD"))
    root = make(tmp_path, f"{split}{composed}/*2.jpg", f"{split}{split_up}/*3.jpg", f"{split}crow/*1.jpg")
    if split:
        make(root, f"test/{split_up}/*4.jpg")

    train, test = sizes(root)

    assert train == {"crow": 1, composed: 5}
    assert test == ({composed: 4} if split else None)
    assert notes(root) == (f"2 folders named {composed} differ in Unicode alone and are one class",)


def test_spelling_may_differ_between_the_splits(tmp_path: Path) -> None:
    composed, split_up = (unicodedata.normalize(form, "Häher") for form in ("NFC", "NFD"))
    root = make(tmp_path, f"train/{split_up}/*2.jpg", "train/crow/*1.jpg", f"test/{composed}/*3.jpg")

    assert sizes(root) == ({"crow": 1, split_up: 2}, {split_up: 3})


def test_description_names_classes_and_sizes(tmp_path: Path) -> None:
    few = make(tmp_path / "birds", "crow/*40.jpg", "jay/*38.jpg", "tit/*41.jpg")
    many = make(tmp_path / "many", *(f"class{i:02}/*{5 + i % 3}.jpg" for i in range(30)))

    def shown(root: Path, **options: int) -> str:
        return str(ImageFolder(seed=0, image_size=32, root=str(root), **options).inspect())  # type: ignore[arg-type]

    assert shown(few) == "birds: 3 classes (crow 40, jay 38, tit 41), 95 train, 24 test"
    assert shown(few, train_size=50) == "birds: 3 classes (crow 40, jay 38, tit 41), 50 train, 24 test, 45 not used"
    assert shown(many) == (
        "many: 30 classes (class00, class01, class02, class03, class04, ..., class29; 5 to 7 images), 144 train,"
        " 36 test"
    )
