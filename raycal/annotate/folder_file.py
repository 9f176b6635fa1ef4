"""Writes the project file for a folder of images that a person wants to label."""

import re
from pathlib import Path

from raycal.capacity.machine import this_machine
from raycal.errors import InputError, printable

# With a GPU the whole network is trained in about a minute. Without a GPU, only its last layer is trained, which takes
# seconds.
ON_GPU = "training: {stop: steps, steps: 400, learning_rate: 1e-2, image_size: 224}"
ON_CPU = "training: {stop: steps, steps: 1000, learning_rate: 1e-1, image_size: 224}"

TEXT = """\
# A labeling project of raycal, for `python -m raycal.annotate {file}`.
# The keys are those of a sweep file. Change them before the first start: the answers belong to these settings.
name: {name}
experiment:
  dataset: {{name: images, root: {root}}}
  model: {{name: resnet18, weights: imagenet{frozen}}}
  scenario: cluster+uncertain           # in each round first whole clusters, then single images
  expert: people
  iterations: 20                        # rounds; you can stop and export at any time
  interactions_per_iteration: 100       # answers in each round, after which the model is trained
  {training}
"""


def project_file(folder: str) -> Path:
    """The project file beside a folder of images, which is written if there is none.

    Raises:
        InputError: The folder cannot be used, or the file cannot be written.
    """
    root = Path(folder).expanduser().absolute()
    file = root.with_name(f"{root.name}.yaml")
    if file.exists():
        return file
    if not root.name:
        raise InputError(f"{printable(folder)}: give a folder below this one")
    has_gpu = this_machine().gpus > 0
    text = TEXT.format(
        file=printable(file.name),
        name=re.sub(r"[^a-z0-9._-]+", "-", root.name.lower()).strip("-._") or "images",
        root=_quoted(str(root)),
        frozen="" if has_gpu else ", frozen: true",
        training=ON_GPU if has_gpu else ON_CPU,
    )
    try:
        file.write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid text"
        raise InputError(
            f"{printable(str(file))}: cannot be written ({reason}); write a project file elsewhere and give it instead"
        ) from error
    return file


def _quoted(text: str) -> str:
    """The text as a YAML string in single quotes."""
    return "'" + text.replace("'", "''") + "'"
