"""What, beside the configuration, a result depends on: recorded with every run."""

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any

from raycal import __version__
from raycal.data import ImageDataset

GIT_SECONDS = 5.0
IMAGES_READ = 16


def environment(images: ImageDataset, placement: dict[str, Any], num_workers: int) -> dict[str, Any]:
    """Versions, machine and dataset, as `environment.json` holds them; no key `git` outside a git working tree."""
    commit = git_commit(Path(__file__).parent)
    return {
        "raycal": __version__,
        **({} if commit is None else {"git": commit}),
        "python": platform.python_version(),
        "machine": platform.machine(),
        **placement,
        "workers": num_workers,
        "dataset": {
            "digest": dataset_digest(images),
            "num_train": images.num_train,
            "num_test": images.num_test,
            "num_classes": images.num_classes,
        },
    }


def git_commit(folder: Path) -> str | None:
    """The commit of the working tree that a folder is in, with `-dirty` when files were changed; None without one."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=GIT_SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def dataset_digest(images: ImageDataset) -> str:
    """16 hex digits over class names, labels, the split, the images' shape and 16 of the images, for speed."""
    digest = hashlib.sha256(repr((images.class_names, images.images.shape)).encode())
    for array in (images.labels, images.train_rows, images.test_rows):
        digest.update(array.tobytes())
    for row in range(0, len(images.images), -(-len(images.images) // IMAGES_READ)):
        digest.update(images.images[row].tobytes())
    return digest.hexdigest()[:16]
