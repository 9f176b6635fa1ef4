"""The list of the images of a labeling project, by which an image keeps its number when files are added."""

import numpy as np

from raycal.data.content import DIGEST_BYTES, content_digest
from raycal.data.images import ImageList
from raycal.people.log import PEOPLE
from raycal.storage.folder import Folder

NAME = "images.json"


def read_image_list(run_folder: Folder) -> ImageList | None:
    """The list of a run, in the file `people/images.json`. None at the first start.

    Raises:
        InputError: The file is damaged.
    """
    folder = run_folder.folder(PEOPLE)
    content = folder.read(NAME)
    return None if content is None else ImageList.from_json(content, f"{folder.place}/{NAME}")


def write_image_list(run_folder: Folder, images: ImageList) -> None:
    """Write the list unless the file has it already."""
    folder, content = run_folder.folder(PEOPLE), images.to_json()
    if folder.read(NAME) != content:
        folder.write(NAME, content)


def content_of(images: ImageList) -> str:
    """The digest under which the cache has the images, so that another process need not read the files."""
    digests = np.frombuffer(bytes.fromhex("".join(images.digests)), np.uint8).reshape(-1, DIGEST_BYTES)
    return content_digest(images.names, digests)
