"""Images that a table lists: where they are found, how they are split, and what is refused."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pyarrow import parquet

from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.data.manifest import differences, manifest_of
from raycal.data.pictures import Pictures
from raycal.data.unlabeled import SampleList, unlabeled_samples
from raycal.errors import InputError

NUM_IMAGES = 12


@pytest.fixture
def folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """Twelve images in two folders; image i has the red value i. The first six are crows, the others jays."""
    for number in range(NUM_IMAGES):
        write_image(tmp_path / "birds" / ("a" if number % 2 else "b") / f"{number:02}.png", (number, 0, 0))
    return tmp_path / "birds"


def path_of(number: int) -> str:
    return f"{'a' if number % 2 else 'b'}/{number:02}.png"


def label_of(number: int) -> str:
    return "crow" if number < 6 else "jay"


def write(file: Path, rows: list[tuple[str, ...]], header: str = "path,label") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *map(",".join, rows)]) + "\n")
    return file


@pytest.fixture
def table(folder: Path) -> Path:
    return write(folder / "birds.csv", [(path_of(number), label_of(number)) for number in range(NUM_IMAGES)])


def make(file: Path | str, **options: Any) -> Any:
    return datasets["manifest"](**{"seed": 0, "image_size": 8, "file": str(file), **options})


def load(file: Path | str, **options: Any) -> ImageDataset:
    loaded: ImageDataset = make(file, **options).load()
    return loaded


def inspect(file: Path | str, **options: Any) -> DatasetInfo:
    info: DatasetInfo = make(file, **options).inspect()
    return info


def reds(images: ImageDataset) -> dict[int, str]:
    """The label of each image by its red value."""
    return {
        int(images.images[row, 0, 0, 0]): images.class_names[images.labels[row]]
        for row in [*images.train_rows, *images.test_rows]
    }


def refused(file: Path | str, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        make(file, **options).inspect()
    with pytest.raises(InputError) as again:
        make(file, **options).load()
    assert caught.value.problems == again.value.problems
    return [line.replace(f"{file}: ", "") for line in caught.value.problems]


ALL = {number: label_of(number) for number in range(NUM_IMAGES)}


def test_images_get_the_labels_of_their_rows(table: Path) -> None:
    images, info = load(table), inspect(table)

    assert reds(images) == ALL
    assert (images.num_train, images.num_test) == (info.num_train, info.num_test) == (9, 3)
    assert str(info) == "birds.csv: 2 classes (crow 6, jay 6), 9 train, 3 test"
    assert info.download == ""


def test_paths_may_be_relative_to_another_folder_absolute_or_file_uris(folder: Path, tmp_path: Path) -> None:
    paths = [path_of(0), f"./{path_of(1)}", str(folder / path_of(2)), (folder / path_of(3)).as_uri(), "b/../a/05.png"]
    rows = [(path, "crow" if row % 2 else "jay") for row, path in enumerate(paths)]

    images = load(write(tmp_path / "lists" / "some.csv", rows), root=str(folder), test_fraction=0.3)

    assert reds(images) == {0: "jay", 1: "crow", 2: "jay", 3: "crow", 5: "jay"}


def test_parquet_and_other_names_of_columns(folder: Path) -> None:
    columns = {
        "image": [path_of(number) for number in range(NUM_IMAGES)],
        "species": [label_of(number) for number in range(NUM_IMAGES)],
    }
    parquet.write_table(pa.table(columns), folder / "birds.parquet")

    assert reds(load(folder / "birds.parquet", path="image", label="species")) == ALL


def test_split_of_the_table_is_used(folder: Path) -> None:
    words = ["train"] * 7 + ["test"] * 3 + ["val"] * 2
    rows = [(path_of(number), label_of(number), words[number]) for number in range(NUM_IMAGES)]
    table = write(folder / "t.csv", rows, "path,label,fold")

    images, info = load(table, split="fold"), inspect(table, split="fold", test_fraction=0.4)

    assert sorted(images.images[images.train_rows, 0, 0, 0]) == list(range(7))
    assert sorted(images.images[images.test_rows, 0, 0, 0]) == [7, 8, 9]
    assert info.notes == (
        "the 2 rows of the validation split are not used",
        "test_fraction is not used: the column fold has the split",
    )
    assert (info.num_train, info.num_test) == (7, 3)


def test_validation_split_is_the_test_split_if_there_is_no_other(folder: Path) -> None:
    rows = [(path_of(number), label_of(number), "val" if number % 3 else "train") for number in range(NUM_IMAGES)]

    info = inspect(write(folder / "t.csv", rows, "path,label,split"), split="split")

    assert (info.num_train, info.num_test) == (4, 8)
    assert info.notes == ("there is no test split, so the 8 rows of the validation split are the test split",)


def test_split_without_test_rows_is_refused(folder: Path) -> None:
    rows = [(path_of(number), label_of(number), "train") for number in range(NUM_IMAGES)]

    assert refused(write(folder / "t.csv", rows, "path,label,split"), split="split") == [
        "column split: no row is in the test split; add some, or leave the setting split out to have the test split"
        " drawn"
    ]


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_not_torn_apart(folder: Path, seed: int) -> None:
    rows = [(path_of(number), label_of(number), f"video {number // 3}") for number in range(NUM_IMAGES)]
    table = write(folder / "t.csv", rows, "path,label,video")

    images = load(table, group="video", seed=seed)
    test = {int(red) // 3 for red in images.images[images.test_rows, 0, 0, 0]}
    train = {int(red) // 3 for red in images.images[images.train_rows, 0, 0, 0]}

    assert images.num_test == 3
    assert not test & train


def test_group_in_both_splits_of_the_table_is_refused(folder: Path) -> None:
    rows = [
        (path_of(number), label_of(number), "test" if number > 8 else "train", f"anna{number // 6}")
        for number in range(NUM_IMAGES)
    ]

    assert refused(write(folder / "t.csv", rows, "path,label,split,who"), split="split", group="who") == [
        "1 group is in the training and in the test split: anna1; put all rows of a group into one split, or leave the"
        " split to test_fraction"
    ]


def test_missing_files_are_named_with_their_rows_beside_all_other_problems(folder: Path) -> None:
    rows = [(path_of(number), label_of(number)) for number in range(NUM_IMAGES)]
    rows[2] = ("a/none.png", "crow")
    rows[5] = (path_of(5), "crwo")
    rows[7] = ("/nowhere/x.png", "jay")
    table = write(folder / "t.csv", rows)

    assert refused(table, classes=["crow", "jay"]) == [
        "row 7, column label: 'crwo' is not one of the classes; did you mean crow?",
        f"row 4, column path: a/none.png: no such file in {folder}",
        "row 9, column path: /nowhere/x.png: no such file",
    ]


def test_many_missing_files_are_given_as_ranges_of_rows(folder: Path) -> None:
    rows = [(path_of(0), "crow"), *((f"{number}.png", "jay") for number in range(40)), (path_of(1), "jay")]
    rows += [("last.png", "crow")]

    lines = refused(write(folder / "t.csv", rows))

    assert lines[0] == f"row 3, column path: 0.png: no such file in {folder}"
    assert len(lines) == 21
    assert lines[20] == "column path: 21 more files are missing, in rows 23-42, 44"


def test_wrong_root_is_suspected_if_no_file_is_there(table: Path, tmp_path: Path) -> None:
    assert refused(table, root=str(tmp_path / "elsewhere"))[-1] == (
        "no file was found; root should be the folder that the paths start from"
    )


def test_bad_rows_and_missing_files_can_be_skipped_and_are_counted(folder: Path) -> None:
    (folder / path_of(4)).write_bytes(b"no image")
    rows = [(path_of(number), label_of(number)) for number in range(NUM_IMAGES)]
    rows += [("a/none.png", "crow"), ("b/none.png", ""), (path_of(0), "crow")]
    table = write(folder / "t.csv", rows)

    info, images = inspect(table, on_error="skip"), load(table, on_error="skip")

    assert reds(images) == {number: label for number, label in ALL.items() if number != 4}
    assert images.left_out[0].startswith("b/04.png (not an image")
    assert info.notes == (
        f"1 row with a problem is left out (1 path named twice): {table}: row 16, column path: b/00.png is in row 2,"
        " too, with the same label",
        f"2 rows are left out because their files do not exist: {table}: row 14, column path: a/none.png: no such file"
        f" in {folder}",
    )


def test_rows_without_a_label_are_left_out_and_counted(folder: Path) -> None:
    rows = [(path_of(number), label_of(number) if number % 4 else "") for number in range(NUM_IMAGES)]
    table = write(folder / "t.csv", rows)

    assert reds(load(table)) == {number: label for number, label in ALL.items() if number % 4}
    assert inspect(table).notes == ("3 rows without a label are left out",)


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (["", ""], "column label: has no label; a simulated expert needs the label of every image"),
        (["jay", "jay"], "column label: has only the label jay; at least two are needed"),
    ],
)
def test_fewer_than_two_classes_are_refused(folder: Path, labels: list[str], line: str) -> None:
    assert refused(write(folder / "t.csv", [(path_of(row), label) for row, label in enumerate(labels)])) == [line]


def test_order_of_the_rows_changes_nothing_and_changed_labels_and_files_are_noticed(
    folder: Path, table: Path, write_image: Callable[..., Path]
) -> None:
    before = manifest_of(load(table))
    reverse = [(path_of(number), label_of(number)) for number in reversed(range(NUM_IMAGES))]
    assert manifest_of(load(write(table, reverse))).digest == before.digest

    relabeled = [(path_of(number), "jay" if number == 3 else label_of(number)) for number in range(NUM_IMAGES)]
    after = manifest_of(load(write(table, relabeled)))
    assert differences(before, after) == ["another class: 1 image (a/03.png was crow, is jay)"]

    write_image(folder / path_of(7), (200, 0, 0))
    assert differences(after, manifest_of(load(table))) == ["other content: 1 image (a/07.png)"]


def test_weights_follow_their_images_and_changed_ones_are_noticed(folder: Path) -> None:
    rows = [(path_of(number), label_of(number), str(number + 0.5)) for number in range(NUM_IMAGES)]
    images = load(write(folder / "t.csv", rows, "path,label,w"), weight="w", train_size=6)
    rows[-1] = (*rows[-1][:2], "7")
    changed = load(write(folder / "t.csv", rows, "path,label,w"), weight="w", train_size=6)

    assert images.weights is not None
    assert images.weights.tolist() == [float(red) + 0.5 for red in images.images[:, 0, 0, 0]]
    before, after = manifest_of(images), manifest_of(changed)
    names = {images.source.names[row] for row in [*images.train_rows, *images.test_rows]} if images.source else set()
    assert path_of(11) in names
    assert differences(before, after) == ["the weights of samples changed"]


def test_images_are_decoded_once_and_found_in_the_cache(table: Path, count_decoded: list[Path]) -> None:
    images = load(table)
    assert images.source is not None
    again = load(table, seed=1)
    known = make(table).load(content=images.source.content)

    assert len(count_decoded) == NUM_IMAGES
    assert reds(again) == reds(known) == ALL


def test_pictures_are_made_from_the_files(folder: Path, table: Path) -> None:
    images = load(table)
    assert images.source is not None

    with Pictures(images, images.source.place) as pictures:
        assert pictures.full(0)[:4] == b"RIFF"
        (folder / images.source.names[1]).unlink()
        with pytest.raises(Exception, match=r"a/03\.png: No such file or directory; put the file back"):
            pictures.full(1)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder. A path is refused with the codes in `codes`, one after the other, before it is served."""

    codes: ClassVar[dict[str, list[int]]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        waiting = self.codes.get(self.path.partition("?")[0], [])
        if waiting:
            self.send_error(waiting.pop(0))
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a web server that serves the folder."""
    monkeypatch.setattr("raycal.data.fetch.WAIT_SECONDS", 0.01)
    _Handler.codes, _Handler.asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(*args, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def of_urls(folder: Path, address: str) -> Path:
    return write(
        folder / "urls.csv", [(f"{address}/{path_of(number)}?v=1", label_of(number)) for number in range(NUM_IMAGES)]
    )


def test_images_behind_urls_are_downloaded_once_and_never_while_inspecting(folder: Path, address: str) -> None:
    table = of_urls(folder, address)
    info = inspect(table)

    assert _Handler.asked == []
    assert info.download == f"{address}/{path_of(1)}?v=1"
    assert info.notes[-1].startswith("12 images will be downloaded into ")

    assert reds(load(table)) == ALL
    assert len(_Handler.asked) == NUM_IMAGES
    assert inspect(table).download == ""
    images = load(table, seed=1)
    assert len(_Handler.asked) == NUM_IMAGES
    assert images.source is not None
    assert images.source.names[0].startswith(address)  # and not the path in the cache of this machine


def test_relative_paths_may_start_from_a_url(table: Path, address: str) -> None:
    assert reds(load(table, root=f"{address}/")) == ALL


def test_download_is_tried_again_if_that_can_help(folder: Path, address: str) -> None:
    _Handler.codes = {f"/{path_of(3)}": [503, 429]}

    assert reds(load(of_urls(folder, address))) == ALL
    assert len(_Handler.asked) == NUM_IMAGES + 2


def test_failed_downloads_are_a_line_each_and_nothing_is_lost(folder: Path, address: str) -> None:
    _Handler.codes = {f"/{path_of(3)}": [404], f"/{path_of(8)}": [500] * 3}
    table = of_urls(folder, address)

    with pytest.raises(InputError) as caught:
        load(table)

    assert sorted(caught.value.problems) == [
        f"{table}: {address}/a/03.png?v=1: cannot be downloaded (404 Not Found)",
        f"{table}: {address}/b/08.png?v=1: cannot be downloaded (500 Internal Server Error, 3 attempts)",
    ]
    assert reds(load(table)) == ALL


def test_downloads_stop_when_the_server_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.data.fetch.WAIT_SECONDS", 0)
    rows = [(f"http://127.0.0.1:9/{number}.png", label_of(number)) for number in range(300)]
    table = write(tmp_path / "urls.csv", rows)

    with pytest.raises(InputError) as caught:
        load(table)

    *lines, last = caught.value.problems
    assert 20 <= len(lines) < 60
    assert all(
        "cannot be downloaded (Connection refused, 3 attempts)" in line.replace("[Errno 111] ", "") for line in lines
    )
    assert last == f"{table}: {300 - len(lines)} other images were not tried after these failures"


def test_images_without_labels_keep_their_numbers_when_rows_are_added(folder: Path) -> None:
    paths = [path_of(0), str(folder / path_of(1)), *map(path_of, range(2, 8))]
    table = write(folder / "t.csv", [(path,) for path in paths], "path")
    files = unlabeled_samples(make(table, label=None, holdout=3))
    assert files is not None
    first = files.load_listed()
    assert str(files.inspect()) == "t.csv: comes without labels, 5 in the pool, 3 in the hold-out"
    assert sorted(first.sample_list.names) == sorted(paths)
    assert (first.dataset.labels == -1).all()

    kept = SampleList.from_json(first.sample_list.to_json(), "images.json", anywhere=True)
    write(table, [(path,) for path in [path_of(9), *paths]], "path")
    second = files.load_listed(before=kept)
    worker = files.load_listed(before=kept, add=False)

    assert second.sample_list.names == (*first.sample_list.names, path_of(9))
    assert second.sample_list.holdout == first.sample_list.holdout
    assert worker.sample_list == first.sample_list
    with pytest.raises(InputError, match="a list of images that raycal wrote"):
        SampleList.from_json(first.sample_list.to_json(), "images.json")

    write(table, [(path,) for path in paths[1:]], "path")
    with pytest.raises(InputError) as caught:
        files.load_listed(before=kept)
    assert list(caught.value.problems) == [
        f"{table}: lacks 1 of the 8 images of the earlier start, or their files: {path_of(0)}; put them back"
    ]


def test_settings_that_need_labels_are_refused_without_labels(folder: Path) -> None:
    table = write(folder / "t.csv", [(path_of(number), "g") for number in range(8)], "path,who")

    assert refused(table, label=None, group="who", train_size=3) == [
        "group is not used without labels; remove it",
        "train_size is not used without labels; remove it",
    ]


def test_images_without_labels_are_not_downloaded_while_inspecting(folder: Path, address: str) -> None:
    table = of_urls(folder, address)

    assert str(inspect(table, label=None)) == "urls.csv: comes without labels, 10 in the pool, 2 in the hold-out"
    assert _Handler.asked == []
    assert load(table, label=None).num_train == 10
    assert len(_Handler.asked) == NUM_IMAGES
