"""The list of the images of a labeling project, by which an image keeps its number when files are added."""

import json

import numpy as np

from raycal.data.content import DIGEST_BYTES, content_digest
from raycal.data.images import ImageList
from raycal.errors import InputError
from raycal.people.log import PEOPLE
from raycal.storage.folder import Folder
from raycal.storage.seal import DIGEST, digest_of

NAME = "images.json"
_END = b"}\n"


def read_image_list(run_folder: Folder, *, anywhere: bool = False) -> ImageList | None:
    """The list of a run, in the file `people/images.json`. None at the first start.

    Args:
        run_folder: The folder of the run.
        anywhere: See `ImageList.from_json`.

    Raises:
        InputError: The file is damaged, or was changed.
    """
    folder = run_folder.folder(PEOPLE)
    content = folder.read(NAME)
    if content is None:
        return None
    place = f"{folder.place}/{NAME}"
    images = ImageList.from_json(content, place, anywhere=anywhere)
    # The files of earlier versions have no digest.
    if json.loads(content).get(DIGEST, digest := digest_of(images.to_json())) != digest:
        raise InputError(
            f"{place}: was changed, but the answers belong to the images as they were numbered; restore it from a copy"
        )
    return images


def write_image_list(run_folder: Folder, images: ImageList) -> None:
    """Write the list with the digest of its content, unless the file already holds this list."""
    folder, content = run_folder.folder(PEOPLE), images.to_json()
    sealed = content.removesuffix(_END) + f',\n"{DIGEST}": "{digest_of(content)}"'.encode() + _END
    if folder.read(NAME) != sealed:
        folder.write(NAME, sealed)


def content_of(images: ImageList) -> str:
    """The digest under which the cache has the images, so that another process need not read the files."""
    digests = np.frombuffer(bytes.fromhex("".join(images.digests)), np.uint8).reshape(-1, DIGEST_BYTES)
    return content_digest(images.names, digests)
