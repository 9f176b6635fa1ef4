"""Vectors with labels from `.npy`, `.npz` and Parquet files: what is read, and what is refused with which words."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs, parquet

from raycal.data import VectorDataset, datasets, vectors
from raycal.errors import InputError

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((40, 5)).astype(np.float32)
WORDS = np.array(["ash", "oak", "yew"])[np.arange(40) % 3]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))


def load(file: object, **options: Any) -> VectorDataset:
    loaded: VectorDataset = datasets["embeddings"](seed=0, image_size=32, file=str(file), **options).load()
    return loaded


def problems(file: object, **options: Any) -> list[str]:
    """The problems that are found before a sweep starts, without the folder of the file."""
    with pytest.raises(InputError) as caught:
        datasets["embeddings"](seed=0, image_size=32, file=str(file), **options).inspect()
    return [line.replace(f"{Path(str(file)).parent}/", "") for line in caught.value.problems]


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "v.npz", **arrays)
    return folder / "v.npz"


def table(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), folder / "v.parquet", **options)
    return folder / "v.parquet"


def as_npy(folder: Path, values: Any = VECTORS, labels: Any = WORDS) -> tuple[Path, dict[str, str]]:
    np.save(folder / "v.npy", values)
    np.save(folder / "labels.npy", labels)
    return folder / "v.npy", {"label": str(folder / "labels.npy")}


def as_npz(folder: Path, values: Any = VECTORS, labels: Any = WORDS) -> tuple[Path, dict[str, str]]:
    return npz(folder, vectors=values, labels=labels), {}


def as_lists(folder: Path, values: Any = VECTORS, labels: Any = WORDS) -> tuple[Path, dict[str, str]]:
    return table(folder, {"id": range(len(values)), "embedding": list(values), "label": labels}), {}


def as_columns(folder: Path, values: Any = VECTORS, labels: Any = WORDS) -> tuple[Path, dict[str, str]]:
    columns = {f"x{column}": values[:, column] for column in range(values.shape[1])}
    return table(folder, {"id": range(len(values)), **columns, "label": labels}, row_group_size=7), {}


FORMATS = pytest.mark.parametrize("write", [as_npy, as_npz, as_lists, as_columns])
Write = Callable[..., tuple[Path, dict[str, str]]]


@FORMATS
def test_every_format_gives_the_same_dataset(write: Write, tmp_path: Path) -> None:
    file, options = write(tmp_path)
    loaded = load(file, **options)

    assert loaded.vectors.dtype == np.float32
    assert np.array_equal(loaded.vectors, VECTORS)
    assert loaded.class_names == ("ash", "oak", "yew")
    assert loaded.labels.tolist() == (np.arange(40) % 3).tolist()
    assert (loaded.num_train, loaded.num_test) == (32, 8)


@FORMATS
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8])
def test_other_numbers_become_float32(write: Write, dtype: Any, tmp_path: Path) -> None:
    values = (np.abs(VECTORS) * 20).astype(dtype)
    file, options = write(tmp_path, values)

    assert np.array_equal(load(file, **options).vectors, values.astype(np.float32))


@FORMATS
def test_files_are_read_in_chunks(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "CHUNK_BYTES", 3 * 5 * 8)
    values = VECTORS.astype(np.float64)
    file, options = write(tmp_path, values)

    assert np.array_equal(load(file, **options).vectors, VECTORS)


def test_matrix_of_float32_is_mapped_without_a_copy(tmp_path: Path) -> None:
    file, options = as_npy(tmp_path)
    loaded = load(file, **options)

    assert isinstance(loaded.vectors, np.memmap)
    assert str(loaded.vectors.filename) == str(file)
    assert not (tmp_path / "cache/vectors").exists()


@pytest.mark.parametrize("order", ["C", "F"])
def test_order_in_memory_makes_no_difference(order: Any, tmp_path: Path) -> None:
    for write in (as_npy, as_npz):
        file, options = write(tmp_path, np.asarray(VECTORS, order=order))
        assert np.array_equal(load(file, **options).vectors, VECTORS)


def test_compressed_archive_and_big_endian_numbers(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "v.npz", X=VECTORS.astype(">f4"), y=WORDS)

    assert np.array_equal(load(tmp_path / "v.npz").vectors, VECTORS)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    file, _ = as_npz(tmp_path)
    before = load(file)
    as_npz(tmp_path, VECTORS + 1)

    assert np.array_equal(load(file).vectors, VECTORS + 1)
    assert np.array_equal(before.vectors, VECTORS)


@pytest.mark.parametrize(
    ("labels", "names", "ids"),
    [
        (np.arange(40) % 3, ("0", "1", "2"), np.arange(40) % 3),
        ((np.arange(40) % 3 + 9).astype(np.float64), ("9", "10", "11"), np.arange(40) % 3),
        (np.arange(40) % 2 * 2 - 1, ("-1", "1"), np.arange(40) % 2),
        (np.arange(40) % 2 == 1, ("false", "true"), np.arange(40) % 2),
        (np.array([b"b", b"a"])[np.arange(40) % 2], ("a", "b"), 1 - np.arange(40) % 2),
        (np.array([" a", "b "])[np.arange(40) % 2][:, None], ("a", "b"), np.arange(40) % 2),
    ],
    ids=["numbers", "whole floats", "minus one and one", "truth values", "bytes", "spaces and a column"],
)
def test_labels_of_every_type(labels: Any, names: tuple[str, ...], ids: Any, tmp_path: Path) -> None:
    loaded = load(npz(tmp_path, vectors=VECTORS, labels=labels))

    assert loaded.class_names == names
    assert loaded.labels.tolist() == ids.tolist()


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["", "a", "b", " "] * 10),
        np.array([np.nan, 0, 1, np.nan] * 10),
        np.array([-1, 0, 1, -1] * 10),
    ],
    ids=["empty", "nan", "minus one"],
)
def test_vectors_without_a_label_are_left_out_and_counted(labels: Any, tmp_path: Path) -> None:
    file = npz(tmp_path, vectors=VECTORS, labels=labels)
    loaded = load(file)
    info = datasets["embeddings"](seed=0, image_size=32, file=str(file)).inspect()

    assert (loaded.num_train, loaded.num_test, loaded.num_classes) == (16, 4, 2)
    assert {*loaded.train_rows, *loaded.test_rows} == {row for row in range(40) if row % 4 in (1, 2)}
    assert "20 vectors without a label are left out" in info.notes


def test_classes_give_names_to_numbers_and_an_order_to_words(tmp_path: Path) -> None:
    numbers = npz(tmp_path, vectors=VECTORS, labels=np.arange(40) % 3)
    assert load(numbers, classes=["x", "y", "z", "w"]).class_names == ("x", "y", "z", "w")
    assert load(numbers, classes=[2, 1, 0]).labels[:3].tolist() == [2, 1, 0]

    named = npz(tmp_path, vectors=VECTORS, labels=np.arange(40) % 3, class_names=["x", "y", "z"])
    assert load(named).class_names == ("x", "y", "z")

    words = npz(tmp_path, vectors=VECTORS, labels=WORDS)
    assert load(words, classes=["yew", "oak", "ash"]).labels[:3].tolist() == [2, 1, 0]
    assert problems(words, classes=["yew", "oak"]) == [
        "v.npz: labels: has labels that are no class (ash); they should be among yew, oak"
    ]
    assert problems(npz(tmp_path, vectors=VECTORS, labels=np.arange(40) % 3), classes=["x", "y"]) == [
        "v.npz: labels: has labels that are no class (2); they should be positions from 0 to 1"
    ]


@FORMATS
def test_split_of_the_file_is_used(write: Write, tmp_path: Path) -> None:
    words = np.array(["train", "Test", "train", "val", "train"] * 8)
    file, options = write(tmp_path)
    if file.suffix == ".npy":
        np.save(tmp_path / "split.npy", words)
        options["split"] = str(tmp_path / "split.npy")
    elif file.suffix == ".npz":
        npz(tmp_path, vectors=VECTORS, labels=WORDS, split=words)
        options["split"] = "split"
    else:
        whole = parquet.read_table(file).append_column("split", pa.array(words))
        parquet.write_table(whole, file)
        options["split"] = "split"
    loaded = load(file, **options)

    assert loaded.test_rows.tolist() == list(range(1, 40, 5))
    assert loaded.num_train == 24


def test_groups_stay_whole(tmp_path: Path) -> None:
    patients = np.array([f"p{row // 4}" for row in range(40)])
    file = npz(tmp_path, vectors=VECTORS, labels=WORDS, group=patients)
    loaded = load(file, group="group")

    assert loaded.num_test == 8
    assert not {*patients[loaded.train_rows]} & {*patients[loaded.test_rows]}


def test_labels_split_and_groups_of_an_npy_file_may_be_texts(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "labels.txt").write_text("".join(f"{word}\n" for word in WORDS))

    assert load(tmp_path / "v.npy", label=str(tmp_path / "labels.txt")).labels[:4].tolist() == [0, 1, 2, 0]


def test_splits_depend_on_the_seed_and_subsets_are_parts_of_them(tmp_path: Path) -> None:
    file, _ = as_npz(tmp_path)
    first, second = (datasets["embeddings"](seed=seed, image_size=32, file=str(file)).load() for seed in (0, 1))
    small = load(file, train_size=10, test_size=4)

    assert first.test_rows.tolist() != second.test_rows.tolist()
    assert {*small.train_rows} < {*first.train_rows}
    assert {*small.test_rows} < {*first.test_rows}
    assert problems(file, train_size=99) == [
        f"{file}: train_size: 99 is more than the 32 vectors there are; give at most 32".replace(f"{tmp_path}/", "")
    ]


def test_object_store_is_read_like_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_npz(tmp_path)
    as_lists(tmp_path)
    store = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    found = fs.FileSystem.from_uri

    def open_uri(uri: str) -> Any:
        return (store, uri.removeprefix("s3://bucket/")) if uri.startswith("s3://bucket/") else found(uri)

    class Store(fs.FileSystem):
        from_uri = staticmethod(open_uri)

    monkeypatch.setattr(fs, "FileSystem", Store)
    for name in ("v.npz", "v.parquet"):
        assert np.array_equal(load(f"s3://bucket/{name}").vectors, VECTORS)
    with pytest.raises(InputError, match=r"^s3://bucket/none\.npz: no such file$"):
        load("s3://bucket/none.npz")


def spoiled(*changes: tuple[int, int, float], dtype: Any = np.float32) -> Any:
    values = VECTORS.astype(dtype)
    for row, column, value in changes:
        values[row, column] = value
    return values


@pytest.mark.parametrize("cut", [8, 2**25])
def test_values_that_are_no_numbers_are_named_and_counted(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "CHUNK_BYTES", cut)
    bad = [(3, 1, np.nan), (3, 4, np.nan), (9, 0, np.nan), (30, 2, np.nan), (7, 2, np.inf), (8, 3, 1e300)]
    values = spoiled(*bad, dtype=np.float64)

    named = [
        "4 values in 3 rows are NaN: [3, 1], [3, 4], [9, 0], ...",
        "1 value in 1 row is infinite: [7, 2]",
        "1 value in 1 row is beyond the range of float32: [8, 3]",
    ]
    assert sorted(problems(as_npz(tmp_path, values)[0])) == sorted(f"v.npz: vectors: {words}" for words in named)
    file, options = as_npy(tmp_path, values)
    assert sorted(problems(file, **options)) == sorted(f"v.npy: {words}" for words in named)


def test_values_of_parquet_are_named_by_row_and_column(tmp_path: Path) -> None:
    values = spoiled((3, 1, np.nan), (7, 2, -np.inf))

    assert problems(as_lists(tmp_path, values)[0]) == [
        "v.parquet: column embedding: 1 value in 1 row is NaN: row 4 at position 1",
        "v.parquet: column embedding: 1 value in 1 row is infinite: row 8 at position 2",
    ]
    assert problems(as_columns(tmp_path, values)[0]) == [
        "v.parquet: 1 value in 1 row is NaN: row 4, column x1",
        "v.parquet: 1 value in 1 row is infinite: row 8, column x2",
    ]


class Bomb:
    """Would write a file if it were unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_objects_are_never_read(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Bomb()] * 4, dtype=object)
    (tmp_path / "labels.npy").touch()
    if suffix == ".npy":
        np.save(tmp_path / "v.npy", objects, allow_pickle=True)
        np.save(tmp_path / "labels.npy", WORDS)
        lines = problems(tmp_path / "v.npy", label="labels.npy")
        np.save(tmp_path / "v.npy", VECTORS)
        np.save(tmp_path / "labels.npy", objects, allow_pickle=True)
        lines += problems(tmp_path / "v.npy", label="labels.npy")
        (tmp_path / "v.npy").write_bytes(pickle.dumps(Bomb()))
        np.save(tmp_path / "labels.npy", WORDS)
        lines += problems(tmp_path / "v.npy", label="labels.npy")
        assert [line.partition(":")[0] for line in lines] == ["v.npy", "labels.npy", "v.npy"]
    else:
        np.savez(tmp_path / "v.npz", vectors=VECTORS, labels=objects, allow_pickle=True)
        lines = problems(tmp_path / "v.npz")
        assert lines[0].startswith("v.npz: labels: ")
    assert all("holds Python objects, which are never read because that can run code" in line for line in lines)
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.array([["a"] * 5] * 40), "v.npz: vectors: holds texts; the vectors should be numbers"),
        (VECTORS.astype(complex), "v.npz: vectors: holds complex numbers; the vectors should be numbers"),
        (
            VECTORS[:, 0],
            "v.npz: vectors: has 1 dimension, (40,); the vectors should be the rows of a matrix (S, D)",
        ),
        (
            VECTORS[:, :, None],
            "v.npz: vectors: has 3 dimensions, (40, 5, 1); the vectors should be the rows of a matrix (S, D)",
        ),
        (VECTORS[:, :0], "v.npz: vectors: is empty, (40, 0); it should have a row for each vector"),
    ],
    ids=["texts", "complex", "one dimension", "three dimensions", "no values"],
)
def test_what_is_no_matrix_of_numbers_is_refused(values: Any, line: str, tmp_path: Path) -> None:
    assert problems(npz(tmp_path, vectors=values, labels=WORDS)) == [line]


def test_all_problems_of_a_file_are_found_at_once(tmp_path: Path) -> None:
    file = npz(
        tmp_path,
        vectors=spoiled((0, 0, np.nan)),
        labels=np.full(40, 0.5),
        split=np.array(["train", "tset"] * 20),
        group=np.arange(39),
    )

    assert problems(file, split="split", group="group") == [
        "v.npz: vectors: 1 value in 1 row is NaN: [0, 0]",
        "v.npz: group: has 39 values for 40 vectors",
        "v.npz: labels: has labels that are not whole, such as 0.5; give texts or whole numbers",
        "v.npz: split: 20 values are no split ('tset'); give train, test or val",
    ]


@pytest.mark.parametrize(
    ("columns", "options", "line"),
    [
        (
            {"embedding": [[1.0, 2.0], [1.0], [3.0, 4.0]], "label": ["a", "b", "a"]},
            {},
            "v.parquet: column embedding: 1 of 3 vectors have another length than 2: row 2 has 1",
        ),
        (
            {"embedding": [["a"], ["b"]], "label": ["a", "b"]},
            {},
            "v.parquet: column embedding: has lists of the type string; give lists of numbers",
        ),
        (
            {"embedding": [[1.0], None, [2.0]], "label": ["a", "b", "a"]},
            {},
            "v.parquet: row 2, column embedding: is empty",
        ),
        (
            {"embedding": [[1.0], [2.0]], "kind": ["a", "b"]},
            {},
            "v.parquet: has no labels; name their column with label: NAME (it has embedding, kind)",
        ),
        (
            {"text": ["x", "y"], "label": ["a", "b"]},
            {},
            "v.parquet: it is not clear which column has the vectors; name it with vectors: NAME (it has text, label)",
        ),
        (
            {"embedding": [[1.0], [2.0]], "label": ["a", "a"]},
            {},
            "v.parquet: column label: has only the label a; two are needed",
        ),
        (
            {"embedding": [[1.0], [2.0]], "label": ["a", "b"]},
            {"vectors": "embeding"},
            "v.parquet: has no column embeding for the vectors; it has embedding, label",
        ),
    ],
    ids=["lengths", "texts", "null", "no label", "no vectors", "one class", "typo"],
)
def test_bad_tables_are_refused_in_one_line(
    columns: dict[str, Any], options: dict[str, Any], line: str, tmp_path: Path
) -> None:
    assert problems(table(tmp_path, columns), **options) == [line]


def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    file, options = as_npy(tmp_path)
    whole = file.read_bytes()
    assert problems(tmp_path / "none.npy", **options) == ["none.npy: no such file"]
    assert problems(tmp_path / "v.csv") == ["v.csv: should be a file with the suffix .npy, .npz or .parquet"]
    assert problems(file) == ["v.npy: has no labels; name the file that has them with label: FILE"]
    file.write_bytes(whole[:-20])
    assert problems(file, **options) == ["v.npy: ends too early; copy it again"]
    file.write_bytes(b"")
    assert problems(file, **options) == ["v.npy: ends too early; copy it again"]
    (tmp_path / "v.npz").write_bytes(b"nothing")
    assert problems(tmp_path / "v.npz") == ["v.npz: is not an .npz file that numpy.savez wrote"]
    (tmp_path / "v.parquet").write_bytes(b"nothing")
    (line,) = problems(tmp_path / "v.parquet")
    assert line.startswith("v.parquet: is not a Parquet file that can be read")
    assert problems(npz(tmp_path, a=VECTORS, b=VECTORS, labels=WORDS)) == [
        "v.npz: has no array that is clearly the vectors; name it with vectors: NAME (it has a, b, labels)"
    ]
