"""The list of the samples of a labeling project, by which a sample keeps its number when others are added."""

import json

import numpy as np

from raycal.data.content import DIGEST_BYTES, content_digest
from raycal.data.unlabeled import SampleList
from raycal.errors import InputError
from raycal.people.log import PEOPLE
from raycal.registry import Kind
from raycal.storage.folder import Folder
from raycal.storage.seal import DIGEST, digest_of

_END = b"}\n"


def list_name(kind: Kind) -> str:
    """The path of the list in the folder of a run, such as `people/images.json`."""
    return f"{PEOPLE}/{kind}.json"


def read_sample_list(run_folder: Folder, kind: Kind = "images", *, anywhere: bool = False) -> SampleList | None:
    """The list of a run. None at the first start.

    Args:
        run_folder: The folder of the run.
        kind: The kind of the samples.
        anywhere: See `SampleList.from_json`.

    Raises:
        InputError: The file is damaged, or was changed.
    """
    content = run_folder.read(list_name(kind))
    if content is None:
        return None
    place = f"{run_folder.place}/{list_name(kind)}"
    samples = SampleList.from_json(content, place, kind=kind, anywhere=anywhere)
    # The files of earlier versions have no digest.
    if json.loads(content).get(DIGEST, digest := digest_of(samples.to_json())) != digest:
        raise InputError(
            f"{place}: was changed, but the answers belong to the {kind} as they were numbered; restore it from a copy"
        )
    return samples


def write_sample_list(run_folder: Folder, samples: SampleList) -> None:
    """Write the list with the digest of its content, unless the file already holds this list."""
    name, content = list_name(samples.kind), samples.to_json()
    sealed = content.removesuffix(_END) + f',\n"{DIGEST}": "{digest_of(content)}"'.encode() + _END
    if run_folder.read(name) != sealed:
        run_folder.write(name, sealed)


def content_of(samples: SampleList) -> str:
    """The digest under which the cache has images, so that another process need not read their files."""
    digests = np.frombuffer(bytes.fromhex("".join(samples.digests)), np.uint8).reshape(-1, DIGEST_BYTES)
    return content_digest(samples.names, digests)
