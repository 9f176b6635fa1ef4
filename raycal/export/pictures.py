"""Puts the labeled images into a folder for each class, as links, copies or PNG files."""

import errno
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from raycal.data import ImageDataset
from raycal.data.places import FilePlace
from raycal.errors import InputError
from raycal.export.labels import LabeledImage
from raycal.export.names import file_name, folder_names, unique_names

Pictures = Literal["link", "copy", "none"]
# Errors with which a file system or an operating system refuses a link. After such an error, the next kind of file is
# tried.
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.EINVAL}


def picture_names(images: Sequence[LabeledImage], class_names: Sequence[str], *, have_files: bool) -> list[str]:
    """The path of each image in the exported folder, such as `train/robin/img_7.jpg`; no two are equal.

    Hugging Face, torchvision's `ImageFolder` and raycal's `image_folder` read the folders `train` and `test`.

    Args:
        images: The labeled images.
        class_names: The names of the classes.
        have_files: Whether each image came from a file. If not, it is written as PNG and named by its row.
    """
    folders = folder_names(class_names)
    places: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        places.setdefault(f"{image.split}/{folders[image.label]}", []).append(number)
    names = [""] * len(images)
    for place, numbers in places.items():
        wanted = [file_name(images[n].source) if have_files else f"image-{images[n].row:06}.png" for n in numbers]
        for number, name in zip(numbers, unique_names(wanted), strict=True):
            names[number] = f"{place}/{name}"
    return names


def write_pictures(
    folder: Path,
    images: Sequence[LabeledImage],
    names: Sequence[str],
    *,
    how: Pictures,
    dataset: ImageDataset,
    originals: FilePlace | None,
) -> None:
    """Write the images into the folder under their names.

    Args:
        folder: The folder to write to, which lies beside the final one.
        how: Whether to link to the files of the images or to copy them. Images that did not come from files are written
            as PNG in either case.
        originals: The place of the files of the images. None if the images did not come from files.

    Raises:
        InputError: A file of the data set does not exist any more.
    """
    for parent in sorted({name.rpartition("/")[0] for name in names}):
        (folder / parent).mkdir(parents=True)
    for image, name in zip(images, names, strict=True):
        path = folder / name
        if originals is None:
            path.write_bytes(_png(dataset, image.row))
            continue
        original = originals / image.source
        if not original.is_file():
            raise InputError(f"{original}: this image does not exist any more; put it back")
        if how == "copy":
            shutil.copyfile(original, path)
        else:
            _link(original, path)


def _link(original: Path, path: Path) -> None:
    """Make a relative symbolic link or, where that is not possible, a hard link or a copy."""
    real = os.path.realpath(original)
    for link, target in ((os.symlink, os.path.relpath(real, os.path.realpath(path.parent))), (os.link, real)):
        try:
            link(target, path)
        except NotImplementedError:
            continue
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
    shutil.copyfile(original, path)


def _png(dataset: ImageDataset, row: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(dataset.images[row]).save(buffer, "PNG")
    return buffer.getvalue()
