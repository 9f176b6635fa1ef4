"""Writes the project file for a folder of images that a person wants to label."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from raycal.capacity.machine import this_machine
from raycal.config.yaml_file import parse_yaml, read_yaml
from raycal.data.image_files import SUFFIXES
from raycal.errors import InputError, printable
from raycal.home import expand_home
from raycal.storage.folder import Folder

# With a GPU the whole network is trained in about a minute. Without a GPU, only its last layer is trained, which takes
# seconds.
ON_GPU = "training: {stop: steps, steps: 400, learning_rate: 1e-2, image_size: 224}"
ON_CPU = "training: {stop: steps, steps: 1000, learning_rate: 1e-1, image_size: 224}"

# In each round people answer for a tenth of the images, within these limits, so that small folders have several rounds.
FEWEST_ANSWERS, MOST_ANSWERS, MOST_ROUNDS = 20, 100, 20

TEXT = """\
# A labeling project of raycal, for `python -m raycal.annotate {file}`.
# The keys are those of a sweep file. Change them before the first start: the answers belong to these settings.
# Only `iterations` may also change later.
name: {name}
experiment:
  dataset: {{name: images, root: {root}}}
  model: {{name: resnet18, weights: imagenet{frozen}}}
  scenario: cluster+uncertain           # in each round first whole clusters, then single images
  expert: people
  iterations: {rounds:<2}                        # rounds; you can stop at any time, and export after the first
  interactions_per_iteration: {answers:<3}       # answers in each round, after which the model is trained
  keep_cluster_labels: false            # true: the model also learns from the clusters of earlier rounds
  {training}
"""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """The project file beside a folder of images.

    Attributes:
        folder: The folder of images.
        path: The file, which is named after the folder.
    """

    folder: Path
    path: Path

    @classmethod
    def of(cls, folder: str) -> Self:
        """The project file of a folder; nothing is written.

        Raises:
            InputError: The folder is the root of the file system, beside which nothing can be.
        """
        root = Path(expand_home(folder)).absolute()
        root = Path(os.path.normpath(root)) if root.name == ".." else root
        if not root.name:
            raise InputError(f"{printable(folder)}: give a folder below this one")
        return cls(root, root.with_name(f"{root.name}.yaml"))

    def source(self) -> str | Mapping[str, Any]:
        """The path of the file or, as long as there is none, the content that it will have.

        Raises:
            InputError: A folder, or a file that is not a project file, has this name.
        """
        path = str(self.path)
        if not os.path.lexists(path):
            return parse_yaml(self._text(), path).values
        if os.path.isdir(path) or "experiment" not in read_yaml(path).values:
            raise InputError(
                f"{printable(path)}: has the name of the project file of this folder, but is something else; rename it"
            )
        return path

    def refuse_other_images(self, root: str | None) -> None:
        """Refuse a file that is about another folder than the one beside it.

        Raises:
            InputError: The images of the project are not in this folder.
        """
        other = "no folder" if root is None else printable(str(Path(expand_home(root)).absolute()))
        if root is None or not os.path.samefile(expand_home(root), self.folder):
            raise InputError(
                f"{printable(str(self.path))}: is a project about the images in {other}, not about those in "
                f"{printable(str(self.folder))}; give this file itself, or rename one of the two"
            )

    def write(self) -> None:
        """Write the file unless there is one.

        Raises:
            InputError: The file cannot be written.
        """
        if os.path.lexists(self.path):
            return
        try:
            Folder.at(str(self.path.parent)).write(self.path.name, self._text().encode())
        except (OSError, UnicodeEncodeError) as error:
            reason = getattr(error, "strerror", None) or "its name is not valid text"
            raise InputError(
                f"{printable(str(self.path))}: cannot be written ({reason}); write a project file elsewhere and give "
                "it instead"
            ) from error
        print(f"wrote {printable(str(self.path))}, which holds the settings", flush=True)

    def _text(self) -> str:
        has_gpu = this_machine().gpus > 0
        answers, rounds = _answers_and_rounds(_count_images(self.folder))
        return TEXT.format(
            file=printable(self.path.name),
            name=re.sub(r"[^a-z0-9._-]+", "-", self.folder.name.lower()).strip("-._") or "images",
            root=_quoted(str(self.folder)),
            answers=answers,
            rounds=rounds,
            frozen="" if has_gpu else ", frozen: true",
            training=ON_GPU if has_gpu else ON_CPU,
        )


def _answers_and_rounds(images: int) -> tuple[int, int]:
    """The number of answers in each round, and the number of rounds. There are no more rounds than the pool has images
    for."""
    answers = min(MOST_ANSWERS, max(FEWEST_ANSWERS, images // 100 * 10))
    pool = images - images // 5  # the other images are the hold-out
    return answers, min(MOST_ROUNDS, max(1, pool // answers))


def _count_images(root: Path) -> int:
    """The number of images in a folder. Counting stops at a number beyond which more images would not change the
    project file."""
    enough = 2 * MOST_ROUNDS * MOST_ANSWERS
    count = 0
    for _, _, names in os.walk(root):
        count += sum(name.lower().endswith(SUFFIXES) for name in names)
        if count >= enough:
            break
    return count


def _quoted(text: str) -> str:
    """The text as a YAML string in single quotes."""
    return "'" + text.replace("'", "''") + "'"
