"""A dataset of texts: a CSV or Parquet file with a text and a label in every row.

`raycal.data.tables` describes how the file is read, and `raycal.data.text_checks` which texts are refused.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import MinLen

from raycal.data.given_split import given_rows, missing_classes
from raycal.data.image_dataset import DatasetInfo, datasets
from raycal.data.loaded import UNLABELED, TextDataset, Texts
from raycal.data.split import Fraction, Rows, WithSubset, random_split, refuse_torn_groups
from raycal.data.tables import Columns, Delimiter, OnProblem, Table, read_table
from raycal.errors import InputError
from raycal.registry import Kind

TEST_FRACTION = 0.2
Column = Annotated[str, MinLen(1)]


@datasets("text")
@dataclass(kw_only=True)
class TextRows(WithSubset):
    """Texts in the rows of a CSV or Parquet file, on this machine or in an object store.

    Args:
        file: The file.
        text: The column of the texts.
        label: The column of the labels, which are names of classes or whole numbers.
        split: The column that says whether a row is for training (`train`) or for testing (`test` or `val`). None means
            that the split is drawn at random.
        group: The column of the groups, such as the authors. All texts of a group are put into the same split. None
            means that every row is drawn for itself.
        classes: The names of all classes. None means the labels that occur.
        delimiter: The delimiter of a CSV file: `comma`, `semicolon` or `tab`. None means that raycal detects it.
        test_fraction: The share of texts in the test split, which is drawn with the experiment's seed; not used with
            `split`.
        on_error: What happens to rows with problems: `refuse` the file and name them, or `skip` them.
    """

    kind: ClassVar[Kind] = "texts"

    file: str
    text: Column = "text"
    label: Column = "label"
    split: Column | None = None
    group: Column | None = None
    classes: list[str] | None = None
    delimiter: Delimiter | None = None
    test_fraction: Fraction = TEST_FRACTION
    on_error: OnProblem = "refuse"

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits."""
        table, rows = self._table, self._rows()
        notes = table.notes
        if self.split is not None and self.test_fraction != TEST_FRACTION:
            notes = (*notes, "test_fraction is not used: the split is given by a column")
        return DatasetInfo(
            kind=self.kind,
            name=PurePosixPath(self.file).stem or self.file,
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(table.class_names),
            class_names=table.class_names,
            class_sizes=tuple(np.bincount(table.labels, minlength=len(table.class_names)).tolist()),
            notes=notes,
            warnings=missing_classes(table.labels, table.class_names, rows, "text"),
        )

    def load(self, *, content: str | None = None) -> TextDataset:
        """The texts and the splits; `content` is ignored, because the texts did not come from one file each."""
        table, rows = self._table, self._rows()
        return TextDataset(
            texts=Texts.of_arrow(table.samples),
            row_numbers=table.rows,
            labels=table.labels,
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=table.class_names,
        )

    @cached_property
    def _table(self) -> Table:
        """The rows that can be used in a simulation."""
        columns = Columns(sample=self.text, label=self.label, split=self.split, group=self.group)
        table = read_table(
            self.file,
            columns,
            kind="texts",
            delimiter=self.delimiter,
            classes=self.classes,
            on_error=self.on_error,
        )
        unlabeled = table.labels == UNLABELED
        if unlabeled.all():
            raise InputError(f"{self.file}: no row has a label in the column {self.label}")
        number = int(unlabeled.sum())
        are = "row has" if number == 1 else "rows have"
        table = table.without(unlabeled, "no label", f"{number:,} {are} no label and cannot be used")
        if len(table.class_names) < 2:
            raise InputError(f"{self.file}: has only one class, {table.class_names[0]}; at least two are needed")
        return table

    def _rows(self) -> Rows:
        """The rows of both splits."""
        table = self._table
        if table.splits is None:
            rows = random_split(
                len(table), test_fraction=self.test_fraction, seed=self.seed, name=self.file, groups=table.groups
            )
        else:
            rows = self._given_rows(table)
        return self.subset(rows, self.file)

    def _given_rows(self, table: Table) -> Rows:
        """The rows of the splits that a column gives. If there is no test split, the validation split takes its
        place.
        """
        assert table.splits is not None
        rows, _ = given_rows(table.splits, np.arange(len(table)), self.kind)
        if not len(rows.train) or not len(rows.test):
            lacking = "training" if not len(rows.train) else "testing"
            raise InputError(f"{self.file}: column {self.split}: no row is for {lacking}; give train and test")
        if table.groups is not None:
            names = np.array(table.group_names, object)[table.groups]
            refuse_torn_groups(rows, names.astype(str), self.file)
        return rows
