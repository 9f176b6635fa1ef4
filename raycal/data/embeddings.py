"""Vectors with labels from a file, such as embeddings that another program has computed."""

import posixpath
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from raycal.data.given_split import empty_splits, given_rows, missing_classes
from raycal.data.image_dataset import DatasetInfo, datasets
from raycal.data.loaded import VectorDataset
from raycal.data.numpy_vectors import read_npy, read_npz
from raycal.data.parquet_vectors import read_parquet
from raycal.data.split import Fraction, Rows, WithSubset, random_split, refuse_torn_groups
from raycal.data.vector_content import Content, Given
from raycal.data.vectors import LocalFile, as_float32, local_file
from raycal.errors import InputError
from raycal.registry import Kind

TEST_FRACTION = 0.2


@datasets("embeddings")
@dataclass(kw_only=True)
class Embeddings(WithSubset):
    """Vectors and their labels, in a file with the suffix `.npy`, `.npz` or `.parquet`.

    The file may be on this machine or in an object store, such as `s3://bucket/vectors.npz`. An `.npy` file has the
    vectors alone, as the rows of a matrix; `label`, `split` and `group` then name files: `.npy` files, or texts with
    one value in each line. In an `.npz` file these options name arrays, and in a Parquet file columns. A Parquet file
    has the vectors in a column of lists, or has a numeric column for each value.

    Labels are texts or whole numbers. Vectors without a label (an empty text, NaN or null, or -1 besides numbers from
    0) are left out and counted. Values that are NaN, infinite, or too large for float32 are refused, and so are Python
    objects, because reading them can run code.

    A matrix of float32 in an `.npy` file is memory-mapped as it is. From other files a copy as float32 is written into
    the cache folder once.

    Args:
        file: The file.
        vectors: The array or the column of the vectors, or a list of numeric columns. None means that raycal finds it
            by its usual name or its type.
        label: The array, the column or the file of the labels. None means that raycal looks for a usual name; an `.npy`
            file then has no labels.
        split: The array, the column or the file of the splits: words such as `train`, `test` and `val`. Rows of `val`
            are not used, except if there is no `test` row. None means that the test split is drawn.
        group: The array, the column or the file of the groups, such as the patients. All vectors of a group are put
            into the same split.
        classes: The names of the classes. If all labels are whole numbers, they are positions in this list. A label
            that is not in the list is a problem.
        test_fraction: The share of vectors in the test split, if it is drawn with the experiment's seed. Groups stay
            whole, so the share is as near to it as the groups allow.
    """

    kind: ClassVar[Kind] = "vectors"

    file: str
    vectors: str | list[str] | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    classes: list[str | int] | None = None
    test_fraction: Fraction = TEST_FRACTION

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits. The file is read and checked, but not converted."""
        content = self._content()
        rows, notes = self._rows(content)
        width = content.vectors.shape[1]
        sizes = np.bincount(content.labels[content.labels >= 0], minlength=len(content.class_names))
        return DatasetInfo(
            name=posixpath.basename(self.file),
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(content.class_names),
            class_names=content.class_names,
            class_sizes=tuple(sizes.tolist()),
            notes=(f"each vector has {width:,} {'value' if width == 1 else 'values'}", *notes),
            warnings=missing_classes(content.labels, content.class_names, rows, "vector"),
            kind=self.kind,
        )

    def load(self, *, content: str | None = None) -> VectorDataset:
        """The vectors and the splits; `content` is ignored, because the vectors do not come from one file each."""
        found = self._content()
        rows, _ = self._rows(found)
        return VectorDataset(
            vectors=as_float32(found.vectors, found.key, found.place, found.name),
            labels=found.labels,
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=found.class_names,
        )

    def _content(self) -> Content:
        """The content of the file.

        Raises:
            InputError: The file cannot be used, with a line for each of its problems.
        """
        vectors = tuple(self.vectors) if isinstance(self.vectors, list) else self.vectors
        classes = None if self.classes is None else tuple(str(name) for name in self.classes)
        given = Given(vectors, self.label, self.split, self.group, classes)
        path = self.file.partition("?")[0]
        if path.endswith((".parquet", ".pq")):
            return read_parquet(local_file(self.file, "file"), given)
        if not path.endswith((".npy", ".npz")):
            raise InputError(f"{self.file}: should be a file with the suffix .npy, .npz or .parquet")
        if isinstance(vectors, tuple) or (vectors is not None and path.endswith(".npy")):
            may = "one array" if path.endswith(".npz") else "no array, because an .npy file has only one"
            raise InputError(f"{self.file}: vectors should name {may}")
        file = local_file(self.file, "file")
        if path.endswith(".npz"):
            return read_npz(file, given)
        others, problems = dict[str, LocalFile](), list[str]()
        if given.label is None:
            problems.append(f"{self.file}: has no labels; name the file that has them with label: FILE")
        for role, place in (("label", self.label), ("split", self.split), ("group", self.group)):
            if place is not None:
                try:
                    others[role] = local_file(place, role)
                except InputError as error:
                    problems += error.problems
        if problems:
            raise InputError(*problems)
        return read_npy(file, tuple(others.items()), given)

    def _rows(self, content: Content) -> tuple[Rows, tuple[str, ...]]:
        """The rows of the splits, and the notes about the file and the splits.

        Raises:
            InputError: A split would be empty, or a group is in both splits.
        """
        labeled, notes = np.flatnonzero(content.labels >= 0), list(content.notes)
        if content.splits is None:
            groups = None if content.groups is None else content.groups[labeled]
            drawn = random_split(
                len(labeled),
                test_fraction=self.test_fraction,
                seed=self.seed,
                name=self.file,
                groups=groups,
                kind=self.kind,
            )
            rows = Rows(labeled[drawn.train], labeled[drawn.test])
        else:
            rows, about_splits = given_rows(content.splits[labeled], labeled, self.kind)
            notes += about_splits
            if lacking := empty_splits(rows):
                raise InputError(
                    f"{self.file}: no vector with a label is in the {lacking} split; add some, or leave out the"
                    " setting split, so that the test split is drawn"
                )
            if content.groups is not None:
                refuse_torn_groups(rows, content.groups, self.file)
            if self.test_fraction != TEST_FRACTION:
                notes.append("test_fraction is not used: the file has the split")
        return self.subset(rows, self.file), tuple(notes)
