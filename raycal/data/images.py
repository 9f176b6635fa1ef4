"""A folder of images that have no labels yet, which people label while Algorithm 1 runs."""

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from raycal.data.content import (
    DIGEST_BYTES,
    Digests,
    content_digest,
    first_with_content,
    hex_digests,
    listing_digest,
)
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
from raycal.data.image_dataset import UNLABELED, DatasetInfo, ImageDataset, SourceFiles, datasets
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
from raycal.data.unlabeled import FoundSamples, LoadedSamples, SampleList, Unlabeled
from raycal.errors import InputError, first_of


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


class _FoundImages(NamedTuple):
    """The image files of a folder or of a table, as far as they are known before any image is decoded.

    Attributes:
        files: See `FoundFiles`.
        notes: See `FoundFiles`.
        digests: The digest of each file's content. None if the digests need not be known.
        usable: The files that can be used.
    """

    files: tuple[str, ...]
    notes: tuple[str, ...]
    digests: Digests | None
    usable: _Usable


class UnlabeledFiles(Unlabeled[ImageDataset]):
    """Images without labels, which are found in a folder or listed in a table. A subclass finds their files."""

    image_size: int
    size: int | None
    on_error: OnError
    _root: FilePlace
    _title: str
    _folder: Path | None

    @property
    def _place(self) -> object:
        return self._root

    @abstractmethod
    def _list(self, before: SampleList | None, *, add: bool) -> FoundFiles:
        """The image files: first the images of the earlier start and then, if `add` is set, all others, ascending.

        Raises:
            InputError: The folder or the table cannot be used, or has no image.
        """

    def find_listed(self, before: SampleList | None) -> FoundSamples[ImageDataset]:
        """The images of an earlier start and those that were added since.

        Files are read to find duplicates. A file that an earlier start has read is only read again if it has changed.
        No image is decoded, so the sizes still count images that are only damaged after their first bytes.

        Args:
            before: The list of the earlier start, whose images are not looked at again unless their files have changed.
                None means that this is the first start.

        Raises:
            InputError: The folder cannot be used, or an image of the earlier start is missing or has changed.
        """
        found = self._find(before, add=True)
        num_held_out = self._num_held_out(len(found.usable.rows), before)
        info = DatasetInfo(
            name=self._title,
            num_train=len(found.usable.rows) - num_held_out,
            num_test=num_held_out,
            num_classes=0,
            folder=self._folder,
            notes=(*found.notes, *found.usable.notes(found.files), *self._notes_on_holdout(before)),
        )
        return FoundSamples(info, lambda progress: self._load(found, before, None, progress))

    def load_listed(
        self,
        *,
        content: str | None = None,
        before: SampleList | None = None,
        add: bool = True,
        progress: Progress = ignore_progress,
    ) -> LoadedSamples[ImageDataset]:
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
        if before is None or add or content is None:
            found = self._find(before, add=add)
        else:  # the images under the digest `content` were checked when they were decoded
            listing = self._list(before, add=False)
            usable = _Usable(list(range(len(listing.files))), {}, {})
            found = _FoundImages(listing.files, listing.notes, None, usable)
        return self._load(found, before, content, progress)

    def _find(self, before: SampleList | None, *, add: bool) -> _FoundImages:
        """The image files, with the digests of their content."""
        files, notes = self._list(before, add=add)
        digests = remembered_digests(self._root, files)
        if before is not None:
            self._refuse_changes(before, files, digests)
        usable = self._usable(files, 0 if before is None else len(before.names), digests)
        return _FoundImages(files, notes, digests, usable)

    def _load(
        self, found: _FoundImages, before: SampleList | None, content: str | None, progress: Progress
    ) -> LoadedSamples[ImageDataset]:
        """The images that were found; see `load_listed`."""
        files, num_before = found.files, 0 if before is None else len(before.names)
        decoded, usable = self._decoded(files, found.usable, num_before, found.digests, content, progress)
        if content not in (None, decoded.content):
            raise InputError(
                f"{self._root}: the files differ from those of an earlier start; restore the original ones"
            )
        if usable.rows[:num_before] != list(range(num_before)):
            broken = [f"{files[row]} ({usable.broken[row]})" for row in range(num_before) if row in usable.broken]
            raise InputError(
                f"{self._root}: {len(broken):,} images of the earlier start cannot be decoded now:"
                f" {first_of(broken, NUM_NAMED, '; ')}; use the version of raycal that the project was started with"
            )
        sample_list = SampleList(
            names=tuple(files[row] for row in usable.rows),
            digests=tuple(hex_digests(decoded.digests)),
            holdout=self._draw(len(usable.rows)) if before is None else before.holdout,
        )
        rows = sample_list.splits()
        dataset = ImageDataset(
            images=decoded.images,
            labels=np.full(len(usable.rows), UNLABELED, np.int64),
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=(),
            source=SourceFiles(
                names=sample_list.names,
                digests=decoded.digests,
                content=decoded.content,
                listing=listing_digest(sample_list.names, [""] * len(usable.rows)),
                num_listed=len(usable.rows),
                place=self._root,
            ),
            left_out=tuple(usable.left_out(files)),
        )
        notes = [*found.notes, *usable.notes(files), *self._notes_on_holdout(before)]
        duplicates = {files[row]: files[source] for row, source in usable.same.items()}
        return LoadedSamples(dataset, sample_list, tuple(notes), duplicates)

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

    def _refuse_changes(self, before: SampleList, files: Sequence[str], read: Digests) -> None:
        """Refuse a folder in which images of the earlier start are missing or have changed.

        Raises:
            InputError: Images are missing or have changed. The error has one line for missing and one line for changed
                images.
        """
        unread = bytes(DIGEST_BYTES).hex()
        digests = hex_digests(read)
        num_before = len(before.names)
        if tuple(digests[:num_before]) == before.digests:
            return
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

    def _list(self, before: SampleList | None, *, add: bool) -> FoundFiles:
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


def _counted(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number:,} {what}s are"
