"""The content of folders of images, judged by the names of files and folders alone. No image is opened."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from raycal.data.cache import absolute
from raycal.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
READABLE = ", ".join(SUFFIXES)

# Folders that systems and programs put beside or between images. No class has such a name, in upper or lower case.
NEVER_A_CLASS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # folders of network disks
        *("__macosx", "lost+found", "$recycle.bin", "system volume information"),  # folders of operating systems
        *("__pycache__", "node_modules", "site-packages"),
        *("mlruns", "mlartifacts", "wandb", "lightning_logs", "tb_logs", "tensorboard_logs"),
    }
)
# Files that systems put into folders that a person has opened.
NEVER_AN_IMAGE = frozenset({"thumbs.db", "desktop.ini"})
VIRTUAL_ENVIRONMENT, EVENTS = "pyvenv.cfg", "events.out.tfevents."
PLAN, MAX_PLAN_HEAD = "plan.json", 4096
NUM_NAMED = 5  # the largest number of files or folders that a note names


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The entries of one folder. Hidden names, such as `.git` and the `._*` files of macOS, are left out.

    All tuples are in ascending order.

    Attributes:
        folders: The names of the folders, without those in `skipped`.
        images: The names of the files with the suffix of an image.
        others: The names of all other files.
        skipped: The names of the folders whose names are in `NEVER_A_CLASS`.
        problems: One line for each entry that cannot be read.
    """

    folders: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """The image files in a folder and its subfolders, and what else these folders contain.

    Attributes:
        images: The paths of the images relative to the root, with "/".
        unused: The number of files that are no images, by suffix.
        skipped: The paths, relative to the root, of the folders that hold no images of a class.
        problems: One line for each entry that cannot be read.
    """

    images: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class ImageTree:
    """The root folder of the images or a folder below it, with its content. Each folder is read once, on first use.

    Args:
        root: The folder that the user named.
        relative: The path of this folder relative to the root, with "/"; empty for the root itself.
        above: The identities (device, inode) of the folders that contain this folder, to detect links that lead back to
            one of them.
    """

    def __init__(self, root: Path, relative: str = "", above: frozenset[tuple[int, int]] = frozenset()) -> None:
        self.root, self.relative = root, relative
        self._above, self._within = above, above
        self._children: dict[str, ImageTree] = {}

    @property
    def path(self) -> Path:
        """The path of the folder."""
        return self.root / self.relative

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name

    def child(self, name: str) -> "ImageTree":
        """The subfolder with this name."""
        if name not in self._children:
            _ = self.content  # sets `_within` to the identities that the child needs
            self._children[name] = ImageTree(self.root, f"{self.relative}/{name}".lstrip("/"), self._within)
        return self._children[name]

    @cached_property
    def content(self) -> FolderContent:
        """The entries of this folder, without those of its subfolders.

        Raises:
            InputError: The root is missing or cannot be read.
        """
        try:
            status = self.path.stat()
            with os.scandir(self.path) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except (OSError, ValueError) as error:  # a zero byte in the name is a ValueError
            reason = error.strerror if isinstance(error, OSError) else error
            if not self.relative:
                raise InputError(f"{self.root}: {reason}; give an existing folder of images") from error
            return FolderContent(problems=(f"{self.path}: {reason}; make it readable or remove it",))
        identity = (status.st_dev, status.st_ino)
        if identity in self._above:
            return FolderContent(problems=(f"{self.path}: links to a folder that it lies in; remove the link",))
        self._within = self._above | {identity}
        return self._sorted(entries)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The names of the subfolders that may hold images of classes, ascending."""
        return tuple(name for name in self.content.folders if not self.child(name).is_foreign)

    @cached_property
    def skipped(self) -> tuple[str, ...]:
        """The names of the subfolders that hold no images of a class, ascending."""
        return tuple(sorted({*self.content.skipped, *self.content.folders} - {*self.folders}))

    @cached_property
    def is_foreign(self) -> bool:
        """Whether a program keeps its files here: results of raycal or TensorBoard, or a virtual environment."""
        content = self.content
        if VIRTUAL_ENVIRONMENT in content.others or any(name.startswith(EVENTS) for name in content.others):
            return True
        if PLAN in content.others and _is_plan(self.path / PLAN):
            return True
        children = [self.child(name) for name in content.folders]
        if content.images or not any(child.is_foreign for child in children):
            return False
        # The storage folder of raycal has one folder for each sweep, and no images.
        return all(child.is_foreign or not child.find_images().images for child in children)

    def find_images(self) -> Found:
        """All image files in the folder and its subfolders, in no particular order."""
        files = Found()
        pending = [self]
        while pending:
            folder = pending.pop()
            prefix = f"{folder.relative}/".lstrip("/")
            content = folder.content
            files.images += (prefix + name for name in content.images)
            files.unused.update(suffix_of(name) for name in content.others if name.lower() not in NEVER_AN_IMAGE)
            files.skipped += (prefix + name for name in folder.skipped)
            files.problems += content.problems
            pending += (folder.child(name) for name in folder.folders)
        return files

    def _sorted(self, entries: list["os.DirEntry[str]"]) -> FolderContent:
        """Sort the entries into folders, images, other files, skipped folders and problems."""
        folders: list[str] = []
        images: list[str] = []
        others: list[str] = []
        skipped: list[str] = []
        problems: list[str] = []
        for entry in entries:
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError as error:
                problems.append(f"{entry.path}: {error.strerror}; make it readable or remove it")
                continue
            if is_folder:
                (skipped if entry.name.casefold() in NEVER_A_CLASS else folders).append(entry.name)
            elif not entry.name.lower().endswith(SUFFIXES):
                others.append(entry.name)
            elif is_file:
                images.append(entry.name)
            else:
                problems.append(f"{entry.path}: a broken link or not a file; remove it")
        return FolderContent(*(tuple(sorted(names)) for names in (folders, images, others, skipped, problems)))


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case, such as `.heic`; empty if there is none."""
    return os.path.splitext(name)[1].lower()


def images_root(root: str) -> Path:
    """The absolute path of a folder of images that the user named.

    Raises:
        InputError: It is a URI instead of a folder of this machine.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", root):
        raise InputError(
            f"{root}: images in an object store are not supported yet; copy them to a folder of this machine, or mount"
            " the store as a folder"
        )
    return absolute(root)


def unused_files(unused: Counter[str]) -> str:
    """A note about the files that are no images."""
    total = unused.total()
    are = "file is" if total == 1 else "files are"
    return f"{total:,} {are} not used: {counted_files(unused)}; raycal reads {READABLE}"


def counted_files(unused: Counter[str]) -> str:
    """The number of files with each suffix, the most frequent suffix first."""
    most = sorted(unused.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in most[:NUM_NAMED]]
    if rest := sum(count for _, count in most[NUM_NAMED:]):
        parts.append(f"{rest:,} others")
    return ", ".join(parts)


def listed_folders(names: Iterable[str]) -> str:
    """The names of the first few folders."""
    shown = [f"{name}/" for name in names]
    more = f" and {len(shown) - NUM_NAMED} more" if len(shown) > NUM_NAMED else ""
    return ", ".join(shown[:NUM_NAMED]) + more


def _is_plan(path: Path) -> bool:
    """Whether a file is the plan of a raycal sweep."""
    try:
        with path.open("rb") as file:
            head = file.read(MAX_PLAN_HEAD)
    except OSError:
        return False
    return b'"raycal"' in head and b'"sweep"' in head
