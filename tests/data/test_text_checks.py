from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycal.data import text_checks
from raycal.data.tables import Columns, Table, read_table
from raycal.errors import InputError

COLUMNS = Columns(sample="text", label="label")


def table(folder: Path, texts: list[str | None], labels: list[str | None], on_error: str = "refuse") -> Table:
    path = folder / f"texts-{on_error}.parquet"
    pq.write_table(pa.table({"text": texts, "label": labels}), path)
    return read_table(str(path), COLUMNS, kind="texts", on_error=on_error)  # type: ignore[arg-type]


def test_all_problems_of_texts_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_checks, "MAX_CHARACTERS", 12)
    texts = ["good", "", "\u3000 \n", None, "the same", "much too long", "the same", "the same", "good", "\x00"]
    labels = ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]

    with pytest.raises(InputError) as caught:
        table(tmp_path, texts, labels)

    place = tmp_path / "texts-refuse.parquet"
    assert str(caught.value).splitlines() == [
        f"{place}: row 2, column text: has only spaces",
        f"{place}: row 3, column text: has only spaces",
        f"{place}: row 4, column text: is empty",
        f"{place}: row 5, column text: is the text of row 8, too, with the label b there and a here",
        f"{place}: row 6, column text: has 13 characters; at most 12 are possible",
        f"{place}: row 7, column text: is the text of row 8, too, with the label b there and a here",
        f"{place}: row 8, column text: is the text of row 5, too, with the label a there and b here",
    ]


def test_rows_with_problems_can_be_left_out(tmp_path: Path) -> None:
    texts = ["good", " ", "the same", "the same", "the same", "good", "other"]
    labels = ["a", "a", "a", "b", "a", "a", "b"]

    kept = table(tmp_path, texts, labels, on_error="skip")

    assert kept.samples.to_pylist() == ["good", "good", "other"]  # no copy of the text with two labels is kept
    assert kept.rows.tolist() == [1, 6, 7]
    assert dict(kept.dropped) == {"only spaces": 1, "text with two labels": 3}
    assert kept.notes[0].startswith("4 rows with problems are left out (1 only spaces, 3 text with two labels)")


def test_text_without_a_label_contradicts_nothing(tmp_path: Path) -> None:
    kept = table(tmp_path, ["the same", "the same", "other"], ["a", None, "b"])

    assert kept.labels.tolist() == [0, -1, 1]


def test_many_texts_are_checked_without_a_loop_over_them(tmp_path: Path) -> None:
    number = 200_000
    texts = [f"text {row}" for row in range(number)]
    labels = [str(row % 7) for row in range(number)]
    texts[150_000], labels[150_000] = "text 7", "3"

    with pytest.raises(InputError) as caught:
        table(tmp_path, texts, labels)

    first, line = str(caught.value).splitlines()
    assert first.endswith("row 8, column text: is the text of row 150001, too, with the label 3 there and 0 here")
    assert line.endswith("row 150001, column text: is the text of row 8, too, with the label 0 there and 3 here")
    assert np.array_equal(table(tmp_path, texts[:9], labels[:9]).labels, np.arange(9) % 7)
