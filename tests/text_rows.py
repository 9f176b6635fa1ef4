"""A small file of texts in two classes, which a model that knows the words can tell apart."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = (
    "nul \x00 and bell \x07 the cat",
    "\u202ethe cat\u202c \u2066sat\u2069 on a mat",
    "👩\u200d👧 the cat sat 😀",
    "=HYPERLINK('evil') the cat",
    "<script>alert('the cat')</script>",
    'a "quoted"\nline, the cat',
    "the cat " * 20_000,
    "a" + "\u0301" * 1000 + " cat",
)


def write_texts(path: Path, number: int = 120, *, hostile: bool = False) -> Path:
    """Write a CSV or Parquet file with the columns text, label and split, whose texts are about a cat or a dog."""
    rng = np.random.default_rng(0)
    words = {"cat": ("cat", "sat", "mat"), "dog": ("dog", "ran", "far")}
    rows = []
    for row in range(number):
        label = ("cat", "dog")[row % 2]
        text = " ".join(["the", *rng.choice(words[label], 5), f"{row}"])
        rows.append((text, label, "test" if row % 4 > 1 else "train"))
    if hostile:
        rows += [(text, "cat", split) for text, split in zip(HOSTILE, ("train", "test") * 4, strict=True)]
    if path.suffix == ".parquet":
        columns = dict(zip(("text", "label", "split"), zip(*rows, strict=True), strict=True))
        pq.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), path)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "split"])
        writer.writerows(rows)
    return path
