"""Tables with one row for each sample: what is read, and every kind of problem with its row and column."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from raycal.data.tables import SPLITS, Columns, Table, read_table
from raycal.errors import InputError

PATHS = Columns(sample="path", label="label")
ALL = Columns(sample="path", label="label", split="split", group="group", weight="weight")


def read(folder: Path, content: str | bytes, columns: Columns = PATHS, name: str = "t.csv", **options: Any) -> Table:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(str(folder / name), columns, **{"kind": "paths", **options})


def refused(folder: Path, content: str | bytes, columns: Columns = PATHS, **options: Any) -> list[str]:
    """The lines of the refusal, without the name of the file."""
    with pytest.raises(InputError) as caught:
        read(folder, content, columns, **options)
    return [line.replace(f"{folder}/", "") for line in caught.value.problems]


def rows(table: Table) -> list[tuple[str, str | None]]:
    labels = [None if label < 0 else table.class_names[label] for label in table.labels]
    return list(zip(table.samples.to_pylist(), labels, strict=True))


TEXT = "path,label\na.png,cr\u00f8w\nb.png,jay\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_delimiters_and_line_ends_are_found(tmp_path: Path, encoding: str, sign: str, end: str) -> None:
    table = read(tmp_path, TEXT.replace(",", sign).replace("\n", end).encode(encoding))

    assert rows(table) == [("a.png", "cr\u00f8w"), ("b.png", "jay")]
    named = {",": (), ";": ("the columns are separated by a semicolon",), "\t": ("the columns are separated by a tab",)}
    assert table.notes == named[sign]


def test_delimiter_can_be_given_and_commas_in_the_names_do_not_matter(tmp_path: Path) -> None:
    text = "path;label;a,b,c,d,e\na.png;crow;1\nb.png;jay;2\n"

    assert rows(read(tmp_path, text)) == rows(read(tmp_path, text, delimiter="semicolon"))
    assert refused(tmp_path, text, delimiter="tab") == [
        "t.csv: has no column path for the samples; it has path;label;a,b,c,d,e",
        "t.csv: has no column label for the labels; it has path;label;a,b,c,d,e",
    ]


def test_quoted_cells_may_have_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    table = read(tmp_path, 'path,label\n"a, ""1"".png",crow\n"b\n2.png",jay\nc.png,jay\n')

    assert rows(table) == [('a, "1".png', "crow"), ("b\n2.png", "jay"), ("c.png", "jay")]
    assert table.rows.tolist() == [2, 3, 4]


def test_compressed_file_is_read(tmp_path: Path) -> None:
    assert rows(read(tmp_path, gzip.compress(TEXT.encode()), name="t.csv.gz"))[1] == ("b.png", "jay")


def test_spaces_are_ignored_and_noted_and_empty_rows_left_out(tmp_path: Path) -> None:
    table = read(tmp_path, "path , label\n a.png, crow\n,\n\nb.png,jay \n")

    assert rows(table) == [("a.png", "crow"), ("b.png", "jay")]
    assert table.rows.tolist() == [2, 5]
    assert table.notes == (
        "spaces around 2 cells of the column label are ignored (first in row 2)",
        "2 rows are empty",
    )


def test_texts_keep_their_spaces_and_may_occur_twice(tmp_path: Path) -> None:
    text = 'text,label\n" hello\n",crow\nx,jay\nx,jay\n'

    assert read(tmp_path, text, Columns(sample="text", label="label"), kind="texts").samples.to_pylist() == [
        " hello\n",
        "x",
        "x",
    ]


def test_all_columns_are_read(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "path,label,split,group,weight\na,x,train,anna,1\nb,y,VAL,anna,0.5\nc,,testing,bob,2e1\n",
        ALL,
    )

    assert table.splits is not None
    assert [str(SPLITS[split]) for split in table.splits] == ["train", "val", "test"]
    assert table.groups is not None
    assert [table.group_names[group] for group in table.groups] == ["anna", "anna", "bob"]
    assert table.weights is not None
    assert table.weights.tolist() == [1, 0.5, 20]
    assert table.labels.tolist() == [0, 1, -1]


def test_order_of_the_classes_is_by_number_by_name_or_as_given(tmp_path: Path) -> None:
    numbers = read(tmp_path, "path,label\na,10\nb,9\nc,1\n")
    names = read(tmp_path, "path,label\na,tit\nb,crow\n")
    given = read(tmp_path, "path,label\na,tit\nb,crow\n", classes=["tit", "jay", "crow"])

    assert numbers.class_names == ("1", "9", "10")
    assert names.class_names == ("crow", "tit")
    assert given.class_names == ("tit", "jay", "crow")
    assert given.labels.tolist() == [0, 2]
    assert given.notes == ("no row has the label jay",)


def test_columns_that_are_probably_meant_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path, "path,Labels\na,b\n") == [
        "t.csv: has no column label for the labels; did you mean Labels?"
    ]
    assert refused(tmp_path, "path,path,label\na,b,c\n") == ["t.csv: has 2 columns named path; rename all but one"]
    assert read(tmp_path, "path,label,Group\na,b,1\nb,c,1\n").notes == (
        "the column Group is not used; to use it, set group: Group",
    )


def test_every_problem_is_a_line_with_row_and_column(tmp_path: Path) -> None:
    content = """path,label,split,group,weight
a,crow,train,g,1
b,crwo,tset,,-1
a,jay,test,h,nan
,jay,test,h,many
c,crow
d,crow,test,h,
a,crow,train,g,1
"""

    assert refused(tmp_path, content, ALL, classes=["crow", "jay"]) == [
        "t.csv: row 6: has 2 cells instead of 5",
        "t.csv: row 3, column label: 'crwo' is not one of the classes; did you mean crow?",
        "t.csv: row 3, column split: 'tset' is no split; give train, test or val",
        "t.csv: row 3, column group: is empty",
        "t.csv: row 3, column weight: '-1' is no number above 0",
        "t.csv: row 4, column weight: 'nan' is no number above 0",
        "t.csv: row 4, column path: a is in row 2, too, with the label crow there and the label jay here",
        "t.csv: row 5, column path: is empty",
        "t.csv: row 5, column weight: 'many' is no number above 0",
        "t.csv: row 7, column weight: is empty; give a number above 0",
        "t.csv: row 8, column path: a is in row 2, too, with the same label",
    ]


def test_first_problems_of_a_kind_are_named_and_the_others_counted(tmp_path: Path) -> None:
    content = "path,label\n" + "".join(f"{row},{'dog' if row % 2 else 'cat'}\n" for row in range(2000))

    lines = refused(tmp_path, content, classes=["cat", "bird"])

    assert len(lines) == 6
    assert lines[0] == "t.csv: row 3, column label: 'dog' is not one of the classes; they are cat, bird"
    assert lines[5] == "t.csv: column label: 995 more rows (unknown label), the last in row 2001"


def test_rows_with_problems_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    content = "path,label\na,crow\nb\nc,crow\nc,jay\n,jay\nd,jay\n"

    table = read(tmp_path, content, on_error="skip")

    assert rows(table) == [("a", "crow"), ("d", "jay")]  # nobody knows which label of c is right
    assert table.rows.tolist() == [2, 7]
    assert table.dropped == {"empty": 1, "path with two labels": 1, "another number of cells": 1}
    assert table.notes[0].startswith(
        "4 rows with problems are left out (1 empty, 1 path with two labels, 1 another number of cells): "
    )


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (["1", "1.0"], "the labels '1' and '1.0' are one number in different spellings; write it in one way"),
        (["01", "1"], "the labels '01' and '1' are one number in different spellings; write it in one way"),
        (["jay", "\uff4aay"], "the labels 'jay' and '\\uff4aay' look alike; write them in one way"),
    ],
)
@pytest.mark.parametrize("on_error", ["refuse", "skip"])
def test_one_label_in_two_spellings_is_refused(tmp_path: Path, labels: list[str], line: str, on_error: str) -> None:
    content = "path,label\n" + "".join(f"{row},{label}\n" for row, label in enumerate(labels))

    assert refused(tmp_path, content, on_error=on_error) == [f"t.csv: column label: {line}"]


def test_numbers_beside_words_are_noted(tmp_path: Path) -> None:
    assert read(tmp_path, "path,label\na,1\nb,cat\nc,2\n").notes == (
        "2 of 3 labels are numbers, and others are words such as cat",
    )


@pytest.mark.parametrize("num_before", [0, 200_000])
def test_other_encoding_is_named_with_line_and_byte(tmp_path: Path, num_before: int) -> None:
    before = b"path,label\n" + b"a.png,crow\n" * num_before

    assert refused(tmp_path, before + "\u00e9.png,jay\n".encode("latin-1")) == [
        f"t.csv: is not UTF-8: line {num_before + 2}, byte {len(before):,} of the file is 0xe9; save the file as UTF-8"
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "t.csv: is empty"),
        (b"\n\n", "t.csv: is empty"),
        (b"\npath,label\na,b\n", "t.csv: row 1 is empty; it should have the names of the columns"),
        (b"path,label\n", "t.csv: has no rows"),
        (b"path,label\n,\n", "t.csv: has no rows"),
        (b'path,label\na,"crow\nb,jay\n', "t.csv: row 2: a quote is never closed"),
        ("path,label\n".encode("utf-32"), "t.csv: is UTF-32; save it as UTF-8"),
        (
            b"PK\x03\x04\x00abcdefghijkl",
            "t.csv: is no text (byte 4 is zero); give a CSV file, or a Parquet file whose name ends in .parquet",
        ),
    ],
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, line: str) -> None:
    assert refused(tmp_path, content) == [line]


def test_missing_file_folder_and_unknown_store_are_refused(tmp_path: Path) -> None:
    for place, reason in (
        (str(tmp_path / "no.csv"), "no such file"),
        (str(tmp_path), "is a folder"),
        ("nowhere://a/b.csv", "Unrecognized filesystem"),
        ("", "should be a file or a URI"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            read_table(place, PATHS, kind="paths")
        assert len(caught.value.problems) == 1


def test_uri_is_read(tmp_path: Path) -> None:
    read(tmp_path, TEXT)

    assert rows(read_table((tmp_path / "t.csv").as_uri(), PATHS, kind="paths"))[1] == ("b.png", "jay")


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    assert len(read(tmp_path, TEXT)) == 2
    assert len(read(tmp_path, f"{TEXT}c.png,jay\n")) == 3


def write_parquet(folder: Path, **columns: Any) -> str:
    parquet.write_table(pa.table(columns), folder / "t.parquet")
    return str(folder / "t.parquet")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (pa.array(["b", "a"]), ("a", "b")),
        (pa.array(["b", "a"]).dictionary_encode(), ("a", "b")),
        (pa.array([10, 9], pa.int8()), ("9", "10")),
        (pa.array([10.0, 9.0]), ("9", "10")),
        (pa.array([True, False]), ("false", "true")),
    ],
)
def test_types_of_labels_in_parquet(tmp_path: Path, labels: pa.Array, names: tuple[str, ...]) -> None:
    table = read_table(write_parquet(tmp_path, path=["x", "y"], label=labels), PATHS, kind="paths")

    assert table.class_names == names
    assert table.labels.tolist() == [1, 0]
    assert table.rows.tolist() == [1, 2]


def test_gaps_in_whole_numbers_are_rows_without_a_label(tmp_path: Path) -> None:
    place = write_parquet(tmp_path, path=["x", "y", "z"], label=pa.array([1.0, float("nan"), None]))

    assert read_table(place, PATHS, kind="paths").labels.tolist() == [0, -1, -1]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (pa.array([0.5, 1.0]), "has numbers that are not whole, such as 0.5; give texts"),
        (pa.array([[1], [2]]), "has the type list<element: int64>; give texts or whole numbers"),
    ],
)
def test_other_types_in_parquet_are_refused(tmp_path: Path, labels: pa.Array, reason: str) -> None:
    place = write_parquet(tmp_path, path=["x", "y"], label=labels)

    with pytest.raises(InputError) as caught:
        read_table(place, PATHS, kind="paths")
    assert list(caught.value.problems) == [f"{place}: column label: {reason}"]


def test_vectors_are_left_as_they_are(tmp_path: Path) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6, dtype=np.float32)), 3)
    place = write_parquet(tmp_path, vector=vectors, label=["a", "b"])

    table = read_table(place, Columns(sample="vector", label="label"), kind="vectors")

    assert table.samples.to_pylist() == [[0, 1, 2], [3, 4, 5]]


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")

    with pytest.raises(InputError, match="is not a Parquet file that can be read"):
        read_table(str(tmp_path / "t.parquet"), PATHS, kind="paths")


@pytest.mark.slow
def test_million_rows_with_three_wrong_ones_take_seconds_and_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w") as file:
        file.write("path,label,split,group,weight\n")
        for row in range(1_000_000):
            path = f"images/{row if row != 777_777 else 3:07}.jpg"
            label = f"class_{row * 7 % 100:03}" if row != 500 else "clas_001"
            weight = "1.5" if row != 999_998 else "nan"
            file.write(f"{path},{label},{'train' if row % 5 else 'test'},patient {row // 50},{weight}\n")
    code = f"""
import time
from raycal.data.tables import *
from raycal.errors import InputError
begin = time.process_time()
try:
    read_table({str(tmp_path / "t.csv")!r}, Columns(sample="path", label="label", split="split", group="group",
        weight="weight"), kind="paths", classes=[f"class_{{number:03}}" for number in range(100)])
except InputError as error:
    print(*(line.partition(": row")[2] for line in error.problems), sep="\\n")
# The kernel adds the memory of the process that started this one to `ru_maxrss`, but not to `VmHWM`.
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(time.process_time() - begin, int(most.split()[1]) / 1e6)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    *lines, numbers = done.stdout.splitlines()
    seconds, gigabytes = map(float, numbers.split())
    assert lines == [
        " 502, column label: 'clas_001' is not one of the classes; did you mean class_001?",
        " 777779, column path: images/0000003.jpg is in row 5, too, with the label class_021 there and the label"
        " class_039 here",
        " 1000000, column weight: 'nan' is no number above 0",
    ]
    assert seconds < 10
    assert gigabytes < 1
