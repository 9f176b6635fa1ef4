"""Tests which folders of a folder of images are read as splits, as classes, or as neither."""

import unicodedata
from pathlib import Path

import pytest

from raycal.data.image_files import ImageTree
from raycal.data.image_folder import ImageFolder, list_images
from raycal.data.layout import Split, read_layout, split_of
from raycal.errors import InputError
from raycal.sweep.preflight import describe


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
    make(root, "test/1.jpg")  # The data sets of competitions often have test images without labels.

    assert notes(root) == (
        "there is no test split with class folders, so valid/ is the test split",
        "only train/ and valid/ are used, not test/",
    )


def test_wrapper_is_passed_through(tmp_path: Path) -> None:
    root = make(tmp_path, "birds/birds/crow/*2.jpg", "birds/birds/jay/*2.jpg", "__MACOSX/birds/x.jpg")

    assert sizes(root) == ({"crow": 2, "jay": 2}, None)
    assert notes(root)[:2] == (
        "birds/ is read, because it is the only folder with images",
        "birds/birds/ is read, because it is the only folder with images",
    )
    assert notes(root)[2].startswith("skipped __MACOSX/: ")


def test_test_split_may_have_one_class(tmp_path: Path) -> None:
    root = make(tmp_path, "train/crow/1.jpg", "train/jay/1.jpg", "test/jay/2019/1.jpg")

    assert sizes(root) == ({"crow": 1, "jay": 1}, {"jay": 1})


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ("train/train", "test", ["the classes of train/ are read from train/train/, the only folder in it"]),
        ("train", "test/images", ["the classes of test/ are read from test/images/, the only folder in it"]),
        (
            "seg_train/seg_train",
            "seg_test/a/b",
            [
                "the classes of seg_train/ are read from seg_train/seg_train/, the only folder in it",
                "the classes of seg_test/ are read from seg_test/a/, the only folder in it",
                "the classes of seg_test/a/ are read from seg_test/a/b/, the only folder in it",
            ],
        ),
    ],
)
def test_extra_folder_in_a_split_is_told(tmp_path: Path, train: str, test: str, expected: list[str]) -> None:
    root = make(tmp_path, *(f"{split}/{name}/1.jpg" for split in (train, test) for name in ("crow", "jay")))

    assert sizes(root) == ({"crow": 1, "jay": 1}, {"crow": 1, "jay": 1})
    assert list(notes(root)) == expected


SAME_FOLDERS: dict[str, tuple[str, ...]] = {
    "misspelled splits": ("trian/{crow,jay,tit}/1.jpg", "tset/{crow,jay,tit}/1.jpg"),
    "a class is missing in one": ("trian/{crow,jay,tit}/1.jpg", "tset/{crow,jay}/1.jpg"),
    "a folder more in one": ("trian/{a,b,c,d,e,f,g}/1.jpg", "tset/{a,b,c,d,e}/1.jpg"),
    "an image beside them": ("trian/{crow,jay}/*9.jpg", "tset/{crow,jay}/*9.jpg", "tset/stray.jpg"),
    "a folder beside them": ("trian/{crow,jay}/1.jpg", "tset/{crow,jay}/1.jpg", "samples/1.jpg"),
    "another case": ("trian/{crow,jay}/1.jpg", "tset/{Crow,JAY}/1.jpg"),
    "images and masks": ("images/{crow,jay}/1.png", "masks/{crow,jay}/1.png"),
    "within the splits": ("train/{images,masks}/{crow,jay}/1.png", "test/{images,masks}/{crow,jay}/1.png"),
    "in a wrapper": ("birds/{trian,tset}/{crow,jay}/1.jpg",),
    "with wrappers": ("trian/trian/{crow,jay}/1.jpg", "tset/tset/{crow,jay}/1.jpg"),
    "deeper classes": ("trian/{crow,jay}/{2019,2020}/1.jpg", "tset/{crow,jay}/{2019,2020}/1.jpg"),
    "folds": ("fold{1,2,3,4,5}/{crow,jay}/1.jpg",),
    "splits in the classes": ("crow/{trian,tset}/1.jpg", "jay/{trian,tset}/1.jpg"),
}


def spelled_out(pattern: str) -> list[str]:
    """Every file that a pattern such as `{crow,jay}/1.jpg` means."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    choices, _, after = rest.partition("}")
    return [one for choice in choices.split(",") for one in spelled_out(before + choice + after)]


@pytest.mark.parametrize("case", SAME_FOLDERS)
def test_classes_with_the_same_folders_in_them_are_refused(tmp_path: Path, case: str) -> None:
    root = make(tmp_path, *(file for pattern in SAME_FOLDERS[case] for file in spelled_out(pattern)))

    problems = refused(root)

    assert all(" have the same folders in them (" in problem for problem in problems)
    assert len(problems) == (2 if case == "within the splits" else 1)


def test_refusal_of_the_same_folders_names_them_and_what_to_do(tmp_path: Path) -> None:
    root = make(tmp_path, *spelled_out("{trian,tset}/{crow,jay}/1.jpg"))

    assert refused(root) == [
        "ROOT: trian/, tset/ have the same folders in them (crow/, jay/), so it is not clear which are the classes; if"
        " they are splits, name them train and test; if only one of them has the images, give it as root; if they are"
        " the classes, put their images directly into them"
    ]


@pytest.mark.parametrize(
    ("patterns", "note"),
    [
        (("animals/{cat,dog}/1.jpg", "vehicles/{car,ship}/1.jpg"), "animals/ (cat/, dog/), vehicles/ (car/, ship/)"),
        (
            ("animals/{cat,dog,other,rest}/1.jpg", "vehicles/{car,ship,other,rest}/1.jpg"),
            "animals/ (cat/, dog/, other/, rest/), vehicles/ (car/, other/, rest/, ship/)",
        ),
        (("crow/images/1.jpg", "jay/images/1.jpg"), "crow/ (images/), jay/ (images/)"),
        (("crow/{2019,2020}/1.jpg", "jay/*3.jpg"), "crow/ (2019/, 2020/)"),
        (("crow/{2019,2020}/1.jpg", "crow/*9.jpg", "jay/{2019,2020}/1.jpg", "jay/*9.jpg"), None),
        (
            ("train/{crow,jay}/1.jpg", "test/crow/2019/1.jpg", "test/jay/1.jpg"),
            "crow/ (2019/)",
        ),
    ],
)
def test_images_in_folders_below_the_classes_are_told(
    tmp_path: Path, patterns: tuple[str, ...], note: str | None
) -> None:
    root = make(tmp_path, *(file for pattern in patterns for file in spelled_out(pattern)))

    below = "crow/ (2019/, 2020/), jay/ (2019/, 2020/)" if note is None else note
    assert notes(root) == (f"images in folders below a class are images of the class: {below}",)


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
        "ROOT/crow: has test/ and train/ in it, so it is not a class",
    ),
    "one class": (("crow/*3.jpg",), "ROOT: has only one class, crow (3 images)"),
    "one class in train": (("train/crow/1.jpg", "test/crow/1.jpg"), "ROOT: has only one class, crow (1 images)"),
    "another case": (
        ("train/Cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "test/dog/1.jpg"),
        "ROOT/test: classes that train does not have: cat; 'cat' is probably 'Cat'; both splits need the same classes",
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
    nested, note = notes(root)
    assert nested == "images in folders below a class are images of the class: crow/ (2019/)"
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
    assert used.startswith("7 files are not used: 4 .heic, 2 .mp4, 1 without a suffix; raycal reads .jpg, ")
    assert outside == "1 images are not used, because they are not in a class folder"


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


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        (
            ("train/{crow,jay,tit}/*4.jpg", "test/crow/*4.jpg"),
            {},
            ["the test split has no image of 2 of 3 classes (jay, tit): its accuracy says nothing about them"],
        ),
        (
            ("crow/*400.jpg", "jay/1.jpg"),
            {},
            ["the test split has no image of 1 of 2 classes (jay): its accuracy says nothing about them"],
        ),
        (
            ("train/crow/*400.jpg", "train/jay/1.jpg", "test/{crow,jay}/*2.jpg"),
            {"train_size": 5},
            ["the training split has no image of 1 of 2 classes (jay): no model can learn them"],
        ),
        (("train/{crow,jay}/*4.jpg", "test/{crow,jay}/1.jpg"), {}, []),
    ],
)
def test_class_that_a_split_lacks_is_a_warning(
    tmp_path: Path, files: tuple[str, ...], options: dict[str, int], expected: list[str]
) -> None:
    root = make(tmp_path, *(file for pattern in files for file in spelled_out(pattern)))

    info = ImageFolder(seed=0, image_size=32, root=str(root), **options).inspect()  # type: ignore[arg-type]

    assert list(info.warnings) == expected
    assert describe([info])[1:] == [f"        warning: {line}" for line in expected]


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
