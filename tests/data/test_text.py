from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from text_rows import HOSTILE, write_texts

from raycal.data import TextDataset, Texts
from raycal.data.manifest import in_both_splits, manifest_of
from raycal.data.text import TextRows
from raycal.errors import InputError


def rows(path: Path, **options: Any) -> TextRows:
    return TextRows(seed=options.pop("seed", 0), image_size=224, file=str(path), **options)


def parquet(folder: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), folder / "texts.parquet")
    return folder / "texts.parquet"


def test_texts_and_labels_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text('words,stars,part\n"good, \nreally",5,train\nbad,1,test\nfine,10,train\n')

    dataset = rows(tmp_path / "reviews.csv", text="words", label="stars", split="part")
    info, loaded = dataset.inspect(), dataset.load()

    assert str(info) == "reviews: 3 classes (1 1, 5 1, 10 1), 2 train, 1 test"
    assert info.kind == loaded.kind == "texts"
    assert list(loaded.texts) == ["good, \nreally", "bad", "fine"]
    assert loaded.class_names == ("1", "5", "10")  # by value, not as texts
    assert loaded.labels.tolist() == [1, 0, 2]
    assert (loaded.train_rows.tolist(), loaded.test_rows.tolist()) == ([0, 2], [1])
    assert list(loaded.names) == ["row 2", "row 3", "row 4"]
    assert info.warnings[0].startswith("the training split has no text of 1 of 3 classes (1)")


def test_split_is_drawn_with_the_seed_and_keeps_groups_together(tmp_path: Path) -> None:
    number = 60
    path = parquet(
        tmp_path,
        text=[f"text {row}" for row in range(number)],
        label=["ab"[row % 2] for row in range(number)],
        author=[f"author {row // 6}" for row in range(number)],
    )

    loaded = [rows(path, group="author", seed=seed).load() for seed in (0, 0, 1)]

    assert loaded[0].test_rows.tolist() == loaded[1].test_rows.tolist() != loaded[2].test_rows.tolist()
    assert len(loaded[0].test_rows) == 12
    authors = [{row // 6 for row in part.tolist()} for part in (loaded[0].train_rows, loaded[0].test_rows)]
    assert not authors[0] & authors[1]
    assert len(rows(path, test_fraction=0.5).load().test_rows) == 30
    assert len(rows(path, train_size=7, test_size=3).load().train_rows) == 7


def test_validation_split_is_only_used_without_a_test_split(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"text": ["one", "two", "three", "four"], "label": ["a", "b", "a", "b"]}
    with_test = parquet(tmp_path, **columns, split=["train", "train", "val", "test"])
    assert rows(with_test, split="split").load().test_rows.tolist() == [3]

    without = parquet(tmp_path, **columns, split=["train", "train", "val", "validation"])
    dataset = rows(without, split="split", test_fraction=0.3)

    assert dataset.load().test_rows.tolist() == [2, 3]
    assert "test_fraction is not used: the split is given by a column" in dataset.inspect().notes


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    path = parquet(tmp_path, text=[f"text {row}" for row in range(6)], label=["a", None, "b", "a", "b", None])

    dataset = rows(path)

    assert [dataset.load().texts[row] for row in range(4)] == ["text 0", "text 2", "text 3", "text 4"]
    assert list(dataset.load().names) == ["row 1", "row 3", "row 4", "row 5"]
    assert "2 rows have no label and cannot be used" in dataset.inspect().notes


@pytest.mark.parametrize(
    ("columns", "options", "problem"),
    [
        ({"text": ["a", "b"], "label": [None, None]}, {}, "no row has a label in the column label"),
        ({"text": ["a", "b"], "label": ["x", "x"]}, {}, "has only one class, x; at least two are needed"),
        ({"txt": ["a", "b"], "label": ["x", "y"]}, {}, "has no column text for the samples; did you mean txt?"),
        (
            {"text": ["a", "b"], "label": ["x", "y"], "split": ["train", "train"]},
            {"split": "split"},
            "column split: no row is for testing; give train and test",
        ),
        (
            {"text": ["a", "b", "c"], "label": ["x", "y", "x"], "split": ["train", "test", "train"], "who": ["z"] * 3},
            {"split": "split", "group": "who"},
            "1 group is in the training and in the test split: z",
        ),
        ({"text": ["a", "b"], "label": ["x", "y"]}, {"train_size": 9}, "train_size: 9 is more than the 1"),
    ],
)
def test_file_that_cannot_be_used_is_refused_in_one_line(
    columns: dict[str, list[Any]], options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    path = parquet(tmp_path, **columns)

    with pytest.raises(InputError) as caught:
        rows(path, **options).inspect()

    assert problem in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_hostile_texts_are_read_as_they_are(tmp_path: Path) -> None:
    loaded = rows(write_texts(tmp_path / "texts.parquet", hostile=True), split="split").load()

    assert tuple(loaded.texts[row] for row in range(len(loaded.texts) - len(HOSTILE), len(loaded.texts))) == HOSTILE
    manifest = manifest_of(loaded)
    assert len(manifest.names) == len(loaded.texts)
    assert in_both_splits(loaded, manifest) == {}


def test_text_in_both_splits_is_found(tmp_path: Path) -> None:
    path = parquet(tmp_path, text=["same", "other", "same"], label=["a", "b", "a"], split=["train", "train", "test"])

    loaded = rows(path, split="split").load()

    assert in_both_splits(loaded, manifest_of(loaded)) == {"row 3": "row 1"}


def test_texts_share_the_memory_of_a_column() -> None:
    column = pa.array(["left out", "é", "", None, "last"], pa.large_string())

    texts = Texts.of_arrow(column.slice(1))

    assert list(texts) == ["é", "", "", "last"]
    assert np.shares_memory(texts.utf8, np.frombuffer(column.buffers()[2], np.uint8))
    assert list(Texts.of_arrow(pa.array([], pa.large_string()))) == []


def test_texts_without_row_numbers_are_named_by_their_place() -> None:
    dataset = TextDataset(
        texts=Texts.of(["a", "b"]),
        labels=np.array([0, 1]),
        train_rows=np.array([0]),
        test_rows=np.array([1]),
        class_names=("x", "y"),
    )

    assert list(dataset.names) == ["text 0", "text 1"]
