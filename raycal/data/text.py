"""A dataset of texts: a CSV or Parquet file with a text and a label in every row.

`raycal.data.tables` describes how the file is read, and `raycal.data.text_checks` which texts are refused. Without a
column of labels, people label the texts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, MinLen

from raycal.data.content import DIGEST_BYTES, Digests, digest_of, first_with_content, hex_digests
from raycal.data.decode import Progress, ignore_progress
from raycal.data.given_split import given_rows, missing_classes
from raycal.data.image_dataset import DatasetInfo, datasets
from raycal.data.loaded import UNLABELED, TextDataset, Texts
from raycal.data.split import Fraction, Rows, WithSubset, random_split, refuse_torn_groups
from raycal.data.tables import Columns, Delimiter, OnProblem, Table, read_table
from raycal.data.unlabeled import FoundSamples, LoadedSamples, SampleList, Unlabeled
from raycal.errors import InputError, first_of
from raycal.registry import Kind

TEST_FRACTION = 0.2
NUM_NAMED = 5  # the number of texts that a message or a note names
Column = Annotated[str, MinLen(1)]


@datasets("text")
@dataclass(kw_only=True)
class TextRows(WithSubset):
    """Texts in the rows of a CSV or Parquet file, on this machine or in an object store.

    Args:
        file: The file.
        text: The column of the texts.
        label: The column of the labels, which are names of classes or whole numbers. None means that there are no
            labels: people label the texts and name the classes.
        split: The column that says whether a row is for training (`train`) or for testing (`test` or `val`). None means
            that the split is drawn at random.
        group: The column of the groups, such as the authors. All texts of a group are put into the same split. None
            means that every row is drawn for itself.
        classes: The names of all classes. None means the labels that occur.
        delimiter: The delimiter of a CSV file: `comma`, `semicolon` or `tab`. None means that raycal detects it.
        test_fraction: The share of texts in the test split, which is drawn with the experiment's seed; not used with
            `split`.
        on_error: What happens to rows with problems: `refuse` the file and name them, or `skip` them.
        holdout: The number of texts that are held out if there are no labels; see `raycal.data.unlabeled`.
    """

    kind: ClassVar[Kind] = "texts"
    # Files from before this option existed stay as they are.
    written_if_set: ClassVar[tuple[str, ...]] = ("holdout",)

    file: str
    text: Column = "text"
    label: Column | None = "label"
    split: Column | None = None
    group: Column | None = None
    classes: list[str] | None = None
    delimiter: Delimiter | None = None
    test_fraction: Fraction = TEST_FRACTION
    on_error: OnProblem = "refuse"
    holdout: Annotated[int, Ge(1)] | None = None

    @property
    def unlabeled(self) -> "UnlabeledTexts | None":
        """The texts for people to label. None if the file has labels."""
        return UnlabeledTexts(self) if self.label is None else None

    @property
    def title(self) -> str:
        """The name of the file without its ending."""
        return PurePosixPath(self.file).stem or self.file

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits."""
        if (unlabeled := self.unlabeled) is not None:
            return unlabeled.inspect()
        table, rows = self._table, self._rows()
        notes = table.notes
        if self.split is not None and self.test_fraction != TEST_FRACTION:
            notes = (*notes, "test_fraction is not used: the split is given by a column")
        return DatasetInfo(
            kind=self.kind,
            name=self.title,
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
        if (unlabeled := self.unlabeled) is not None:
            return unlabeled.load()
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
            raise InputError(
                f"{self.file}: no row has a label in the column {self.label}; with label: null, people label all texts"
            )
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


class _FoundTexts(NamedTuple):
    """The texts of a table that people label.

    Attributes:
        table: One row for each text: first the texts of the earlier start, in its order, and then all others.
        texts: The same texts.
        digests: The digest of each text.
        duplicates: The rows of the file that were left out because an earlier row has the same text, each mapped to
            that row.
        notes: What a user should know about how the table was read.
    """

    table: Table
    texts: Texts
    digests: Digests
    duplicates: dict[int, int]
    notes: tuple[str, ...]


class UnlabeledTexts(Unlabeled[TextDataset]):
    """The texts of a table without labels: people name the classes and give the labels.

    A text is recognized by its content, so rows may be added or moved between two starts. Of several rows with the same
    text only the first one is used.

    Args:
        rows: The table.
    """

    kind: ClassVar[Kind] = "texts"

    def __init__(self, rows: TextRows) -> None:
        self._rows, self.seed, self.holdout = rows, rows.seed, rows.holdout

    @property
    def _place(self) -> object:
        return self._rows.file

    def find_listed(self, before: SampleList | None) -> FoundSamples[TextDataset]:
        """The texts of an earlier start and those that were added since."""
        found = self._find(before, add=True)
        number = len(found.table)
        num_held_out = self._num_held_out(number, before)
        info = DatasetInfo(
            kind=self.kind,
            name=self._rows.title,
            num_train=number - num_held_out,
            num_test=num_held_out,
            num_classes=0,
            notes=(*found.notes, *self._notes_on_holdout(before)),
        )
        return FoundSamples(info, lambda progress: self._loaded(found, before))

    def load_listed(
        self,
        *,
        content: str | None = None,
        before: SampleList | None = None,
        add: bool = True,
        progress: Progress = ignore_progress,
    ) -> LoadedSamples[TextDataset]:
        """The texts in the order of an earlier start; `content` and `progress` are ignored, because texts are read
        quickly.
        """
        return self._loaded(self._find(before, add=add), before)

    def _loaded(self, found: _FoundTexts, before: SampleList | None) -> LoadedSamples[TextDataset]:
        number = len(found.table)
        samples = SampleList(
            names=tuple(map(_row_name, found.table.rows.tolist())),
            digests=tuple(hex_digests(found.digests)),
            holdout=self._draw(number) if before is None else before.holdout,
            kind=self.kind,
        )
        rows = samples.splits()
        dataset = TextDataset(
            texts=found.texts,
            row_numbers=found.table.rows,
            labels=np.full(number, UNLABELED, np.int64),
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=(),
            left_out=tuple(
                f"{_row_name(row)} (the same text as {_row_name(first)})" for row, first in found.duplicates.items()
            ),
        )
        duplicates = {_row_name(row): _row_name(first) for row, first in found.duplicates.items()}
        return LoadedSamples(dataset, samples, (*found.notes, *self._notes_on_holdout(before)), duplicates)

    def _find(self, before: SampleList | None, *, add: bool) -> _FoundTexts:
        """Read the table, and put its texts into the order of the earlier start.

        Raises:
            InputError: The table cannot be used, or texts of the earlier start are missing.
        """
        rows = self._rows
        unused = [
            f"{option} is not used without labels"
            for option in ("split", "group", "classes", "train_size", "test_size")
            if getattr(rows, option) is not None
        ]
        if unused:
            raise InputError(*(f"{rows.file}: {line}; remove it" for line in unused))
        table = read_table(
            rows.file, Columns(sample=rows.text), kind="texts", delimiter=rows.delimiter, on_error=rows.on_error
        )
        texts = Texts.of_arrow(table.samples)
        contents = [digest_of(texts.utf8_of(row)) for row in range(len(texts))]
        digests = np.frombuffer(b"".join(contents), np.uint8).reshape(len(contents), DIGEST_BYTES)
        first = first_with_content(digests).tolist()
        chosen = [row for row, earlier in enumerate(first) if row == earlier]
        if before is not None:
            place_of = {contents[row].hex(): row for row in chosen}
            self._refuse_missing(before, place_of)
            earlier_rows = [place_of[digest] for digest in before.digests]
            others = sorted({*chosen} - {*earlier_rows}) if add else []
            chosen = [*earlier_rows, *others]
        numbers = table.rows.tolist()
        duplicates = {numbers[row]: numbers[earlier] for row, earlier in enumerate(first) if row != earlier}
        order = np.array(chosen, np.int64)
        ordered = table.in_order(order)
        return _FoundTexts(
            table=ordered,
            texts=Texts.of_arrow(ordered.samples),
            digests=digests[order],
            duplicates=duplicates,
            notes=(*table.notes, *_notes_on_duplicates(duplicates)),
        )

    def _refuse_missing(self, before: SampleList, digests: Collection[str]) -> None:
        """Refuse a table that lacks texts of the earlier start.

        Raises:
            InputError: Texts are missing or have changed.
        """
        missing = [name for name, digest in zip(before.names, before.digests, strict=True) if digest not in digests]
        if missing:
            raise InputError(
                f"{self._place}: lacks {len(missing):,} of the {len(before.names):,} texts of the earlier start"
                f" (in {first_of(missing, NUM_NAMED)} at that time); put the original texts back"
            )


def _row_name(number: int) -> str:
    return f"row {number}"


def _notes_on_duplicates(duplicates: Mapping[int, int]) -> list[str]:
    if not duplicates:
        return []
    named = first_of([f"{_row_name(row)} (as {_row_name(first)})" for row, first in duplicates.items()], NUM_NAMED)
    counted = "1 exact duplicate is" if len(duplicates) == 1 else f"{len(duplicates):,} exact duplicates are"
    return [f"{counted} left out: {named}"]
