"""A folder of images that have no labels yet, which people label while Algorithm 1 runs."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.randomness import stream
from raycal.data.content import DIGEST_BYTES, Digests, content_digest, first_with_content, listing_digest
from raycal.data.decode import (
    DecodedFiles,
    OnError,
    Progress,
    decoded_images,
    header_problems,
    ignore_progress,
    joined_images,
    refuse_broken,
)
from raycal.data.image_dataset import UNLABELED, Dataset, DatasetInfo, ImageDataset, SourceFiles, datasets
from raycal.data.image_files import (
    NUM_NAMED,
    READABLE,
    ImageTree,
    counted_files,
    images_root,
    listed_folders,
    unused_files,
)
from raycal.data.places import FilePlace
from raycal.data.remembered import remembered_digests
from raycal.errors import InputError, first_of

FORMAT_VERSION = 1
MOST_HELD_OUT, HELD_OUT_SHARE = 400, 5  # the default size of the hold-out: a fifth of the images, but at most 400
FEWEST_IMAGES = 2  # the pool and the hold-out need at least one image each


@dataclass(frozen=True, slots=True)
class ImageList:
    """The images of a folder in the order in which they are numbered.

    The list is made at the first start and kept by the caller. A later start that gets the list gives the same images
    the same numbers, and appends the images that were added to the folder since.

    Attributes:
        names: The paths of the R images relative to the folder, with "/"; the position of a path is the image's row.
        digests: The digest of each file's content, in hexadecimal.
        holdout: The rows of the images that are held out, in the order in which they were drawn. For every n, the first
            n of these rows are a simple random sample of the images.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    holdout: tuple[int, ...]

    def to_json(self) -> bytes:
        """The list as JSON with one line for each image; equal lists give equal bytes."""
        images = ",\n".join(json.dumps(image) for image in zip(self.names, self.digests, strict=True))
        holdout = json.dumps(self.holdout)
        return f'{{"format": {FORMAT_VERSION},\n"holdout": {holdout},\n"images": [\n{images}\n]}}\n'.encode()

    @classmethod
    def from_json(cls, content: bytes, place: str, *, anywhere: bool = False) -> "ImageList":
        """The list that `to_json` wrote.

        Args:
            content: The bytes.
            place: The file that the bytes are from, for error messages.
            anywhere: Whether names may lead out of the folder, because a table has the same names.

        Raises:
            InputError: The bytes are not the JSON of a list of images.
        """
        try:
            read = json.loads(content)
            if read["format"] != FORMAT_VERSION:
                raise InputError(
                    f"{place}: has the format {read['format']!r}, which this version of raycal cannot read"
                )
            names, digests = zip(*read["images"], strict=True)
            found = cls(names, digests, tuple(read["holdout"]))
            found._check(anywhere=anywhere)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{place}: is not a list of images that raycal wrote; restore it from a copy") from error
        return found

    def _check(self, *, anywhere: bool) -> None:
        """Raise a `ValueError` if `to_json` cannot have written the list."""
        if not all(isinstance(name, str) and (anywhere or _stays_inside(name)) for name in self.names):
            raise ValueError("a name leads out of the folder")
        if any(len(bytes.fromhex(digest)) != DIGEST_BYTES for digest in self.digests):
            raise ValueError("a digest has another length")
        if len(set(self.names)) < len(self.names) or len(set(self.holdout)) < len(self.holdout):
            raise ValueError("an image is named twice")
        if not all(type(row) is int and 0 <= row < len(self.names) for row in self.holdout):
            raise ValueError("the hold-out has a row that is no image")


class LoadedImages(NamedTuple):
    """A loaded folder of images without labels.

    Attributes:
        dataset: The images, with the hold-out as the test split.
        image_list: The order of the images, which a later start needs.
        notes: What a user should know about how the folder was read, one line per note.
        duplicates: The name of each file that was left out as a duplicate, mapped to the name of the image with the
            same content.
    """

    dataset: ImageDataset
    image_list: ImageList
    notes: tuple[str, ...]
    duplicates: Mapping[str, str]


class FoundFiles(NamedTuple):
    """The image files of a folder or of a table, by name alone.

    Attributes:
        files: The paths of the files relative to the folder: first the images of the earlier start, then all others,
            ascending.
        notes: What a user should know about other files and folders.
    """

    files: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Usable:
    """The files of a folder that can be used, and the reasons why others cannot be used. A file is given by its
    position in a list.

    Attributes:
        rows: The files that can be used, ascending.
        same: The position of each duplicate, mapped to the first file with the same content.
        broken: The reason why a file cannot be decoded.
    """

    rows: list[int]
    same: Mapping[int, int]
    broken: Mapping[int, str]

    def without(self, broken: Mapping[int, str]) -> "_Usable":
        """The files that are left after more of them turned out to be broken. The duplicates of a broken file are
        broken for the same reason."""
        more = {row: broken[source] for row, source in self.same.items() if source in broken}
        return _Usable(
            [row for row in self.rows if row not in broken],
            {row: source for row, source in self.same.items() if source not in broken},
            dict(sorted({**self.broken, **broken, **more}.items())),
        )

    def left_out(self, files: Sequence[str]) -> list[str]:
        """The names of the files that cannot be used, each with the reason."""
        return [
            *(f"{files[row]} ({reason})" for row, reason in self.broken.items()),
            *(f"{files[row]} (the same content as {files[source]})" for row, source in self.same.items()),
        ]

    def notes(self, files: Sequence[str]) -> list[str]:
        """Notes that name the first few of the files that cannot be used."""
        notes = []
        if self.same:
            named = first_of([f"{files[row]} (as {files[source]})" for row, source in self.same.items()], NUM_NAMED)
            notes.append(f"{_counted(len(self.same), 'exact duplicate')} left out: {named}")
        if self.broken:
            named = first_of([f"{files[row]} ({reason})" for row, reason in self.broken.items()], NUM_NAMED, "; ")
            notes.append(f"{_counted(len(self.broken), 'broken image')} left out: {named}")
        return notes


class UnlabeledFiles(ABC):
    """Images without labels, which are found in a folder or listed in a table. A subclass finds their files.

    Attributes:
        names_anywhere: Whether the names of the files may lead out of the folder.
    """

    names_anywhere: ClassVar[bool] = False

    seed: int
    image_size: int
    holdout: int | None
    size: int | None
    on_error: OnError
    _root: FilePlace
    _title: str
    _folder: Path | None

    @abstractmethod
    def _list(self, before: ImageList | None, *, add: bool) -> FoundFiles:
        """The image files: first the images of the earlier start and then, if `add` is set, all others, ascending.

        Raises:
            InputError: The folder or the table cannot be used, or has no image.
        """

    def inspect(self) -> DatasetInfo:
        """The sizes of the pool and of the hold-out.

        Files are read to find duplicates. A file that an earlier start has read is only read again if it has changed.
        No image is decoded, so images that are only damaged after their first bytes are still counted.
        """
        return self.inspect_listed(None)

    def inspect_listed(self, before: ImageList | None) -> DatasetInfo:
        """The sizes of the pool and of the hold-out with the images that were added since an earlier start.

        Args:
            before: The list of the earlier start, whose images are not looked at again unless their files have changed.
                None means that this is the first start.

        Raises:
            InputError: The folder cannot be used, or an image of the earlier start is missing or has changed.
        """
        listing = self._list(before, add=True)
        digests = remembered_digests(self._root, listing.files)
        if before is not None:
            self._refuse_changes(before, listing.files, digests)
        usable = self._usable(listing.files, 0 if before is None else len(before.names), digests)
        num_held_out = self._num_held_out(len(usable.rows)) if before is None else len(before.holdout)
        return DatasetInfo(
            name=self._title,
            num_train=len(usable.rows) - num_held_out,
            num_test=num_held_out,
            num_classes=0,
            folder=self._folder,
            notes=(*listing.notes, *usable.notes(listing.files), *self._notes_on_holdout(before)),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits of a first start. All labels are -1, and there are no classes."""
        return self.load_listed(content=content).dataset

    def load_listed(
        self,
        *,
        content: str | None = None,
        before: ImageList | None = None,
        add: bool = True,
        progress: Progress = ignore_progress,
    ) -> LoadedImages:
        """The images in the order of an earlier start.

        Args:
            content: See `raycal.data.image_dataset.Dataset.load`.
            before: The list of the earlier start. Its images keep their rows, and its hold-out stays as it is. None
                means that this is the first start.
            add: Whether images that are in the folder but not in `before` are appended to the pool.
            progress: Called while images are decoded; see `raycal.data.decode.Progress`.

        Raises:
            InputError: The folder cannot be used, or an image of the earlier start is missing or has changed.
        """
        listing = self._list(before, add=add)
        num_before = 0 if before is None else len(before.names)
        digests: Digests | None = None
        if before is None or add or content is None:
            digests = remembered_digests(self._root, listing.files)
            if before is not None:
                self._refuse_changes(before, listing.files, digests)
            usable = self._usable(listing.files, num_before, digests)
        else:  # the images under the digest `content` were checked when they were decoded
            usable = _Usable(list(range(num_before)), {}, {})
        decoded, usable = self._decoded(listing.files, usable, num_before, digests, content, progress)
        if content not in (None, decoded.content):
            raise InputError(
                f"{self._root}: the files differ from those of an earlier start; restore the original ones"
            )
        if usable.rows[:num_before] != list(range(num_before)):
            broken = [
                f"{listing.files[row]} ({usable.broken[row]})" for row in range(num_before) if row in usable.broken
            ]
            raise InputError(
                f"{self._root}: {len(broken):,} images of the earlier start cannot be decoded now:"
                f" {first_of(broken, NUM_NAMED, '; ')}; use the version of raycal that the project was started with"
            )
        image_list = ImageList(
            names=tuple(listing.files[row] for row in usable.rows),
            digests=tuple(digest.tobytes().hex() for digest in decoded.digests),
            holdout=self._draw(len(usable.rows)) if before is None else before.holdout,
        )
        test_rows = np.sort(np.array(image_list.holdout, np.int64))
        dataset = ImageDataset(
            images=decoded.images,
            labels=np.full(len(usable.rows), UNLABELED, np.int64),
            train_rows=np.setdiff1d(np.arange(len(usable.rows)), test_rows),
            test_rows=test_rows,
            class_names=(),
            source=SourceFiles(
                names=image_list.names,
                digests=decoded.digests,
                content=decoded.content,
                listing=listing_digest(image_list.names, [""] * len(usable.rows)),
                num_listed=len(usable.rows),
                place=self._root,
            ),
            left_out=tuple(usable.left_out(listing.files)),
        )
        notes = [*listing.notes, *usable.notes(listing.files), *self._notes_on_holdout(before)]
        duplicates = {listing.files[row]: listing.files[source] for row, source in usable.same.items()}
        return LoadedImages(dataset, image_list, tuple(notes), duplicates)

    def _notes_on_holdout(self, before: ImageList | None) -> list[str]:
        if before is None or self.holdout in (None, len(before.holdout)):
            return []
        return [f"holdout is not used: the {len(before.holdout):,} images that were drawn first stay held out"]

    def _usable(self, files: Sequence[str], num_before: int, digests: Digests) -> _Usable:
        """The files that can be used, as far as their digests and first bytes tell.

        Args:
            files: All files.
            num_before: The number of images of the earlier start, with which the files begin.
            digests: The digest of each file's content.

        Raises:
            InputError: There are broken files that cannot be skipped.
        """
        first = first_with_content(digests).tolist()
        problems = header_problems(self._root, files[num_before:])
        broken = {num_before + row: reason for row, reason in problems.items()}
        refuse_broken(self._root, files, broken, self.on_error)
        same = {row: source for row, source in enumerate(first) if row != source and row not in broken}
        return _Usable([row for row in range(len(files)) if row not in broken and row not in same], same, broken)

    def _decoded(
        self,
        files: Sequence[str],
        usable: _Usable,
        num_before: int,
        digests: Digests | None,
        content: str | None,
        progress: Progress,
    ) -> tuple[DecodedFiles, _Usable]:
        """The images, and the files that turned out to be usable when all of them were decoded.

        The images of an earlier start are taken from the cache, so that only the new images have to be decoded.

        Args:
            files: All files.
            usable: The files that can be used, as far as is known before they are decoded.
            num_before: The number of images of the earlier start, with which the files begin.
            digests: The digest of each file's content. None means that the files have the digest `content`.
            content: The digest of the names and the content of all files that can be used.
            progress: See `load_listed`.

        Raises:
            InputError: There are broken files that cannot be skipped, or the files have another content.
        """
        parts: list[tuple[DecodedFiles, Sequence[str]]] = []
        broken: dict[int, str] = {}
        for rows in (usable.rows[:num_before], usable.rows[num_before:]):
            if rows:
                names = [files[row] for row in rows]
                digest = content if digests is None else content_digest(names, digests[rows])
                size = parts[0][0].images.shape[1] if parts else self.size
                decoded = self._decode(names, digest, size, none_needed=bool(parts), progress=progress)
                parts.append((decoded, names))
                broken |= {rows[row]: reason for row, reason in decoded.broken.items()}
        if broken or len(parts) > 1:
            decoded = joined_images(parts, self._root, size=self.size, image_size=self.image_size)
        return decoded, usable.without(broken)

    def _decode(
        self, names: Sequence[str], content: str | None, size: int | None, *, none_needed: bool, progress: Progress
    ) -> DecodedFiles:
        return decoded_images(
            self._root,
            names,
            size=size,
            image_size=self.image_size,
            content=content,
            on_error=self.on_error,
            none_needed=none_needed,
            progress=progress,
        )

    def _refuse_changes(self, before: ImageList, files: Sequence[str], read: Digests) -> None:
        """Refuse a folder in which images of the earlier start are missing or have changed.

        Raises:
            InputError: Images are missing or have changed. The error has one line for missing and one line for changed
                images.
        """
        unread = bytes(DIGEST_BYTES).hex()
        digests = [digest.tobytes().hex() for digest in read]
        num_before = len(before.names)
        places = dict(zip(digests[num_before:], files[num_before:], strict=True))
        missing, unreadable, changed = [], [], []
        for name, old, new in zip(before.names, before.digests, digests, strict=False):
            if new == old:
                continue
            if new != unread:
                changed.append(name)
            elif os.path.lexists(self._root / name):
                unreadable.append(name)
            else:
                missing.append(f"{name} (its content is in {places[old]} now)" if old in places else name)
        problems = [
            f"{self._root}: {len(names):,} of the {num_before:,} images of the earlier start {verb[len(names) > 1]}:"
            f" {first_of(names, NUM_NAMED)}; {advice}"
            for names, verb, advice in (
                (missing, ("is missing now", "are missing now"), "put them back"),
                (unreadable, ("cannot be read now",) * 2, "make them readable"),
                (changed, ("has another content now", "have another content now"), "put the original files back"),
            )
            if names
        ]
        if problems:
            raise InputError(*problems)

    def _num_held_out(self, num_images: int) -> int:
        """The size of the hold-out.

        Raises:
            InputError: There are too few images.
        """
        if num_images < FEWEST_IMAGES:
            raise InputError(
                f"{self._root}: has {num_images} image that can be used; at least {FEWEST_IMAGES} different ones are"
                " needed, one for the pool and one for the hold-out"
            )
        if self.holdout is None:
            return max(1, min(MOST_HELD_OUT, num_images // HELD_OUT_SHARE))
        if self.holdout >= num_images:
            raise InputError(
                f"{self._root}: holdout: {self.holdout:,} of {num_images:,} images leaves none for the pool; give at"
                f" most {num_images - 1:,}"
            )
        return self.holdout

    def _draw(self, num_images: int) -> tuple[int, ...]:
        """The rows of the hold-out, in the order in which they are drawn."""
        order = stream(self.seed, 0, "hold-out").permutation(num_images)
        return tuple(order[: self._num_held_out(num_images)].tolist())


@datasets("images")
@dataclass(kw_only=True)
class UnlabeledImages(UnlabeledFiles):
    """All images in a folder and its subfolders, which have no labels. People give the labels and name the classes.

    Some images are drawn at random and held out. They are the test split, on which people measure the model. Of several
    files with the same content only the first one is used. Files and folders whose names begin with a dot are ignored,
    and so are folders in which a program keeps its files; see `raycal.data.image_files`. `raycal.data.decode` describes
    which size and mode the images get.

    Args:
        root: The folder.
        holdout: The number of images that are held out. They are the first images of a permutation that is drawn with
            the experiment's seed, so a larger hold-out contains a smaller one. None means a fifth of the images, but at
            most 400.
        size: The side, in pixels, at which the images are stored. None means that `raycal.data.decode` chooses it.
        on_error: What happens to images that cannot be decoded, and to folders that cannot be read: `skip` them and
            name them in a note, or `refuse` the folder.
    """

    seed: int
    image_size: int
    root: str
    holdout: Annotated[int, Ge(1)] | None = None
    size: Annotated[int, Ge(1), Le(2048)] | None = None
    on_error: OnError = "skip"

    def __post_init__(self) -> None:
        self._root = self._folder = images_root(self.root)
        self._title = self._folder.name or str(self._folder)

    def _list(self, before: ImageList | None, *, add: bool) -> FoundFiles:
        """The image files of the folder.

        Raises:
            InputError: The folder cannot be read, or has no image.
        """
        tree = ImageTree(images_root(self.root))
        if before is not None and not add:
            _ = tree.content  # raises an error if the folder is gone
            return FoundFiles(before.names, ())
        found = tree.find_images()
        problems = sorted(found.problems)
        if problems and self.on_error == "refuse":
            raise InputError(*problems)
        if not found.images and before is None:
            others = f"; it has {counted_files(found.unused)}" if found.unused else ""
            raise InputError(*problems, f"{self._root}: has no image ({READABLE}){others}; add some")
        notes = []
        if found.skipped:
            skipped = listed_folders(sorted(found.skipped))
            notes.append(f"skipped {skipped}: systems and programs keep their files there")
        if found.unused:
            notes.append(unused_files(found.unused))
        if problems:
            notes.append(
                f"skipped {len(problems):,} entries that cannot be read: {first_of(problems, NUM_NAMED, ' | ')}"
            )
        earlier = () if before is None else before.names
        return FoundFiles((*earlier, *sorted({*found.images} - {*earlier})), tuple(notes))


def unlabeled_files(dataset: Dataset) -> UnlabeledFiles | None:
    """The images of a dataset without labels, which people label. None for a dataset with labels."""
    if isinstance(dataset, UnlabeledFiles):
        return dataset
    files: UnlabeledFiles | None = getattr(dataset, "unlabeled", None)
    return files


def _counted(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number:,} {what}s are"


def _stays_inside(name: str) -> bool:
    """Whether a path is relative and leads to a place below the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
