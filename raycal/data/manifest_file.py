"""A user's own images, listed with their labels in a CSV or Parquet file."""

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.records import Indices
from raycal.data.cache import absolute, cache_dir
from raycal.data.decode import OnError
from raycal.data.fetch import fetch_files, missing_urls
from raycal.data.given_split import empty_splits, given_rows, missing_classes
from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.images import FoundFiles, UnlabeledFiles
from raycal.data.listing import Listing, load_listed_images
from raycal.data.places import ListedFiles, is_url
from raycal.data.split import Fraction, Rows, WithSubset, refuse_torn_groups
from raycal.data.tables import Columns, Delimiter, Mask, Table, read_table
from raycal.data.unlabeled import FoundSamples, SampleList
from raycal.errors import InputError, first_of

TEST_FRACTION = 0.2
NUM_MISSING_NAMED, NUM_RANGES = 20, 50


@datasets("manifest")
@dataclass(kw_only=True)
class ManifestFile(WithSubset):
    """Images that a table lists: one row for each image, with its path or URL, its label and more.

    `raycal.data.tables` describes which files are read, and which rows are problems. Paths are relative to `root`, or
    absolute. Images behind URLs (`http`, `https`, `s3`, `gs`) are downloaded into the cache when the images are loaded,
    never before. Rows without a label are left out and counted.

    If there is a column `split`, it determines the splits: `train` rows are the pool, `test` rows the test split, and
    `val` rows are not used, except if there is no `test` row. Otherwise the test split is drawn with the experiment's
    seed.

    Args:
        file: The CSV or Parquet file, on this machine or in an object store, such as `s3://bucket/birds.csv`.
        path: The column of the paths or URLs.
        label: The column of the labels. None (`label: null`) means that people give the labels, with raycal.annotate;
            see `UnlabeledRows`.
        split: The column of the splits. None means that the test split is drawn.
        group: The column of the groups, such as patients or videos. All images of a group are put into the same split.
        weight: The column of the weights, above 0, by which the loss of an image is multiplied when a model is trained
            on it. Only their proportions matter. The weights do not count when questions are chosen or accuracy is
            measured.
        classes: The names of the classes, in the order that they should have. A label that is not in the list is then a
            problem. None means all labels of the table, in ascending order.
        delimiter: The delimiter of a CSV file. None means that raycal detects it.
        root: The folder, or the URI, that relative paths start from. None means the folder of `file`.
        test_fraction: The share of images in the test split, if it is drawn. Groups stay whole, so the share is as near
            to it as the groups allow.
        size: The side, in pixels, at which the images are stored. None means that `raycal.data.decode` chooses it.
        on_error: What happens to rows with problems, to missing files, and to images that cannot be decoded: `refuse`
            the table and name them, or `skip` them, so that they are in neither split.
        holdout: The number of images that are held out if there are no labels; see `raycal.data.images`.
    """

    file: str
    path: str = "path"
    label: str | None = "label"
    split: str | None = None
    group: str | None = None
    weight: str | None = None
    classes: list[str | int] | None = None
    delimiter: Delimiter | None = None
    root: str | None = None
    test_fraction: Fraction = TEST_FRACTION
    size: Annotated[int, Ge(1), Le(2048)] | None = None
    on_error: OnError = "refuse"
    holdout: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        root = self.root if self.root is not None else _folder_of(self.file)
        self._uri = root.rstrip("/") if is_url(root) and not root.startswith("file://") else None
        self.place = ListedFiles(absolute(_local(root)) if self._uri is None else Path("/"))

    @property
    def unlabeled(self) -> "UnlabeledRows | None":
        """The images for people to label. None if the table has labels."""
        return UnlabeledRows(self) if self.label is None else None

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits; nothing is downloaded, and broken images are still counted."""
        if (unlabeled := self.unlabeled) is not None:
            return unlabeled.inspect()
        listing = self._listing()
        rows, notes = self._rows(listing), listing.notes
        if listing.split is not None and self.test_fraction != TEST_FRACTION:
            notes = (*notes, f"test_fraction is not used: the column {self.split} has the split")
        missing = missing_urls([name for name in listing.files if is_url(name)])
        if missing:
            notes = (*notes, f"{len(missing):,} images will be downloaded into {cache_dir()}")
        return DatasetInfo(
            name=posixpath.basename(self.file),
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(listing.class_names),
            class_names=listing.class_names,
            class_sizes=listing.class_sizes,
            download=missing[0] if missing else "",
            download_to=str(cache_dir()) if missing else "",
            notes=notes,
            warnings=missing_classes(listing.labels, listing.class_names, rows, "image"),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits."""
        if (unlabeled := self.unlabeled) is not None:
            return unlabeled.load(content=content)
        listing = self._listing()
        rows = self._rows(listing)
        self.fetch([listing.files[row] for row in np.union1d(rows.train, rows.test)])
        return load_listed_images(
            listing,
            rows,
            self.place,
            size=self.size,
            image_size=self.image_size,
            content=content,
            on_error=self.on_error,
        )

    def _rows(self, listing: Listing) -> Rows:
        rows = listing.rows(test_fraction=self.test_fraction, seed=self.seed, name=self.file)
        return self.subset(rows, self.file)

    def _listing(self) -> Listing:
        """The rows of the table that have a label and a file.

        Raises:
            InputError: The table cannot be used, or files are missing. The error has a line for each.
        """
        table, names = self.present_rows()
        is_unlabeled = table.labels < 0
        if is_unlabeled.all():
            raise InputError(
                f"{self.file}: column {self.label}: has no label; a simulated expert needs the label of every image"
            )
        number = int(is_unlabeled.sum())
        rows = "1 row without a label is" if number == 1 else f"{number:,} rows without a label are"
        table = table.without(is_unlabeled, "without a label", f"{rows} left out")
        names = [name for name, missing in zip(names, is_unlabeled, strict=True) if not missing]
        if len(table.class_names) == 1:
            raise InputError(
                f"{self.file}: column {self.label}: has only the label {table.class_names[0]}; at least two are needed"
            )
        # The images are put into the order of their names, so that the order of the rows in the file changes no split.
        order = sorted(range(len(names)), key=names.__getitem__)
        table, names = table.in_order(np.array(order)), [names[position] for position in order]
        split, notes = self._split(table)
        if split is not None and table.groups is not None:
            refuse_torn_groups(split, np.array(table.group_names)[table.groups], self.file)
        return Listing(
            files=tuple(names),
            labels=table.labels,
            class_names=table.class_names,
            split=split,
            notes=(*table.notes, *notes),
            groups=table.groups,
            weights=table.weights,
        )

    def present_rows(self) -> tuple[Table, list[str]]:
        """The rows of the table whose files exist or are behind URLs, and the path or URL of each.

        Raises:
            InputError: The table cannot be used, or files are missing. The error has a line for each.
        """
        table, problems = self._table()
        names = self._names(table)
        is_missing = self._missing(names)
        if is_missing.any():
            lines = self._missing_lines(table, names, is_missing)
            if self.on_error == "refuse" or is_missing.all():
                raise InputError(*problems, *lines)
            number = int(is_missing.sum())
            files = "file does" if number == 1 else "files do"
            note = f"{number:,} rows are left out because their {files} not exist: {lines[0]}"
            table = table.without(is_missing, "missing file", note)
            names = [name for name, missing in zip(names, is_missing, strict=True) if not missing]
        if problems:
            raise InputError(*problems)
        return table, names

    def _table(self) -> tuple[Table, list[str]]:
        """The table, and its problems. If there are problems, the table has only the rows without problems, so that
        missing files of these rows can be named, too.
        """
        columns = Columns(sample=self.path, label=self.label, split=self.split, group=self.group, weight=self.weight)
        classes = None if self.classes is None else [str(name) for name in self.classes]

        def read(on_error: OnError) -> Table:
            return read_table(
                self.file, columns, kind="paths", delimiter=self.delimiter, classes=classes, on_error=on_error
            )

        try:
            return read(self.on_error), []
        except InputError as error:
            try:
                return read("skip"), list(error.problems)
            except InputError:
                raise error from None

    def _names(self, table: Table) -> list[str]:
        """The path or the URL of each row."""
        names: list[str] = table.samples.to_pylist()
        names = [_local(name) if name.startswith("file://") else name for name in names]
        if self._uri is None:
            return names
        return [name if is_url(name) or name.startswith("/") else f"{self._uri}/{name}" for name in names]

    def _missing(self, names: Sequence[str]) -> Mask:
        """The files of this machine that do not exist. Each folder is listed once, which is faster than a request for
        each file.
        """
        listed: dict[str, frozenset[str]] = {}
        missing = np.zeros(len(names), bool)
        for position, name in enumerate(names):
            if is_url(name):
                continue
            folder, _, file = name.rpartition("/")
            folder = f"{folder}/" if name.startswith("/") else folder
            if folder not in listed:
                listed[folder] = _names_in(self.place.folder / folder)
            missing[position] = file not in listed[folder]
        return missing

    def _missing_lines(self, table: Table, names: Sequence[str], is_missing: Mask) -> list[str]:
        positions = np.flatnonzero(is_missing)
        lines = [
            f"{self.file}: row {table.rows[position]}, column {self.path}: {names[position]}: no such file"
            f"{'' if names[position].startswith('/') else f' in {self.place.folder}'}"
            for position in positions[:NUM_MISSING_NAMED].tolist()
        ]
        if len(positions) > NUM_MISSING_NAMED:
            rest = table.rows[positions[NUM_MISSING_NAMED:]]
            lines.append(f"{self.file}: column {self.path}: {len(rest):,} more files are missing, in {_ranges(rest)}")
        if len(positions) == len(table) and not any(map(is_url, names)):
            lines.append(f"{self.file}: no file was found; root should be the folder that the paths start from")
        return lines

    def _split(self, table: Table) -> tuple[Rows | None, list[str]]:
        """The split that the table gives, and notes about this split."""
        if table.splits is None:
            return None, []
        rows, notes = given_rows(table.splits, np.arange(len(table)), "rows")
        if lacking := empty_splits(rows):
            raise InputError(
                f"{self.file}: column {self.split}: no row is in the {lacking} split; add some, or"
                " leave the setting split out to have the test split drawn"
            )
        return rows, notes

    def fetch(self, names: Sequence[str]) -> None:
        """Download the images that are behind URLs and not in the cache.

        Raises:
            InputError: Images could not be downloaded. The error has a line for each of them.
        """
        urls = [name for name in names if is_url(name)]
        failed = fetch_files(urls)
        if failed:
            lines = [f"{self.file}: {url}: cannot be downloaded ({reason})" for url, reason in failed.items()]
            if num_others := len(missing_urls(urls)) - len(failed):
                lines.append(f"{self.file}: {num_others:,} other images were not tried after these failures")
            raise InputError(*lines)


class UnlabeledRows(UnlabeledFiles):
    """The images of a table without labels: people name the classes and give the labels.

    Some images are drawn at random and held out, as for the dataset `images`. Rows may be appended to the table later.

    Args:
        manifest: The table.
    """

    names_anywhere = True

    def __init__(self, manifest: ManifestFile) -> None:
        self._manifest = manifest
        self.seed, self.image_size, self.size = manifest.seed, manifest.image_size, manifest.size
        self.holdout, self.on_error = manifest.holdout, manifest.on_error
        self._root, self._title, self._folder = manifest.place, posixpath.basename(manifest.file), None

    def find_listed(self, before: SampleList | None) -> FoundSamples[ImageDataset]:
        """The images of an earlier start and those that were added since. As long as images are not downloaded, the
        sizes count duplicates.
        """
        _, names = self._manifest.present_rows()
        if not (missing := missing_urls([name for name in names if is_url(name)])):
            return super().find_listed(before)
        num_held_out = self._num_held_out(len(names), before)
        info = DatasetInfo(
            name=self._title,
            num_train=len(names) - num_held_out,
            num_test=num_held_out,
            num_classes=0,
            download=missing[0],
            download_to=str(cache_dir()),
            notes=(f"{len(missing):,} images will be downloaded into {cache_dir()}",),
        )
        return FoundSamples(info, lambda progress: self.load_listed(before=before, progress=progress))

    def _list(self, before: SampleList | None, *, add: bool) -> FoundFiles:
        file = self._manifest.file
        unused = [
            f"{option} is not used without labels"
            for option in ("split", "group", "weight", "classes", "train_size", "test_size")
            if getattr(self._manifest, option) is not None
        ]
        if unused:
            raise InputError(*(f"{file}: {line}; remove it" for line in unused))
        table, names = self._manifest.present_rows()
        self._manifest.fetch(names)
        earlier = () if before is None else before.names
        if gone := sorted({*earlier} - {*names}):
            raise InputError(
                f"{file}: lacks {len(gone):,} of the {len(earlier):,} images of the earlier start, or their files:"
                f" {first_of(gone, NUM_RANGES)}; put them back"
            )
        others = sorted({*names} - {*earlier}) if add or before is None else []
        return FoundFiles((*earlier, *others), table.notes)


def _folder_of(file: str) -> str:
    folder, slash, _ = file.rpartition("/")
    return (folder or "/") if slash else "."


def _local(place: str) -> str:
    """The path of a `file://` URI, or the path itself."""
    return unquote(urlsplit(place).path) if place.startswith("file://") else place


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _ranges(numbers: Indices) -> str:
    """Row numbers in words, such as `rows 3-7, 9`."""
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    begins, ends = numbers[[0, *(breaks + 1)]], numbers[[*breaks, len(numbers) - 1]]
    words = [f"{begin}" if begin == end else f"{begin}-{end}" for begin, end in zip(begins, ends, strict=True)]
    more = f" and up to row {numbers[-1]}" if len(words) > NUM_RANGES else ""
    return f"{'rows' if len(numbers) > 1 else 'row'} {', '.join(words[:NUM_RANGES])}{more}"
