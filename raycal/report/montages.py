"""Pictures or texts of the clusters that the expert was shown, as in figure 1 of the paper, if the trials saved any."""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from raycal.algorithm.records import Answer
from raycal.experiment.montage import COLORS, tile_boxes
from raycal.experiment.text_clusters import TextClusters, from_html
from raycal.report.runs import Runs, Trial
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

# All pictures together have at most this many bytes, so that the page stays small enough for a mail.
MAX_BYTES = 8_000_000
NEARLY_WHITE = 248
# Words in this gray can be read on a white and on a black background. The blue of accepted clusters is lightened for
# the same reason.
GRAY = (122, 122, 122)
BLUE = (38, 132, 199)


@dataclass(frozen=True, slots=True, kw_only=True)
class Montage:
    """The picture of one iteration.

    Attributes:
        iteration: The number of the iteration, from 0.
        uri: The picture as a data URI; its background is transparent, so that it fits a light and a dark page. Empty
            for texts.
        texts: The clusters of texts; None for a picture of images.
    """

    iteration: int
    uri: str = ""
    texts: TextClusters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The pictures of one trial.

    Attributes:
        caption: The dataset, scenario and seed.
        experiment_id: The trial, whose folder has all of its pictures.
        montages: The pictures in the order of their iterations.
        left_out: How many pictures the page does not contain, because it would be too large with them.
    """

    caption: str
    experiment_id: str
    montages: tuple[Montage, ...]
    left_out: int


def galleries(runs: Runs, *, with_unfinished: bool = False) -> list[Gallery]:
    """The pictures of one finished trial per dataset and scenario, up to `MAX_BYTES` in total.

    If there is no room for all pictures, the first and the last iteration of every trial come before the iterations
    between them.

    Args:
        runs: The trials.
        with_unfinished: Whether trials that have not finished are shown, too.
    """
    trials = [(trial, _names(trial)) for trial in _examples(runs, with_unfinished=with_unfinished)]
    wanted = [(at, name) for at, (_, names) in enumerate(trials) for name in dict.fromkeys(names[:1] + names[-1:])]
    wanted += [(at, name) for at, (_, names) in enumerate(trials) for name in names[1:-1]]
    pictures: list[list[Montage]] = [[] for _ in trials]
    size = 0
    for at, name in wanted:
        content = Folder.at(trials[at][0].folder).folder("clusters").read(name) or b""
        # The picture on the page is about as large as its file, so the size of the file tells whether it fits.
        size += len(content)
        if size > MAX_BYTES:
            break
        if (montage := _montage(int(re.sub(r"\D", "", name)), content, is_text=name.endswith(".html"))) is not None:
            pictures[at].append(montage)
    return [
        Gallery(
            caption=f"{trial.dataset_name}, {trial.scenario}, seed {trial.config.seed}",
            experiment_id=trial.experiment_id,
            montages=tuple(sorted(shown, key=lambda montage: montage.iteration)),
            left_out=len(names) - len(shown),
        )
        for (trial, names), shown in zip(trials, pictures, strict=True)
        if shown
    ]


def _montage(iteration: int, content: bytes, *, is_text: bool) -> Montage | None:
    """The montage in a file. None for a page that raycal did not write."""
    if is_text:
        texts = from_html(content)
        return None if texts is None else Montage(iteration=iteration, texts=texts)
    uri = "data:image/webp;base64," + base64.b64encode(without_paper(content)).decode()
    return Montage(iteration=iteration, uri=uri)


def without_paper(content: bytes) -> bytes:
    """Make everything transparent but the images and the words of a montage, as a lossless WebP file."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.uint8)
    height, width, _ = pixels.shape
    is_image = np.zeros((height, width), bool)
    for left, top, right, bottom in tile_boxes(height):
        # In a cluster with few images, an empty place is white, or nearly white because the file has few colors.
        is_image[top:bottom, left:right] = (pixels[top:bottom, left:right] < NEARLY_WHITE).any()
    low, high = pixels.min(axis=2), pixels.max(axis=2)
    is_colored = high.astype(int) - low > 30
    ink = np.empty_like(pixels)
    ink[:, : width // 2] = BLUE
    ink[:, width // 2 :] = COLORS[Answer.REFUSED]
    ink[~is_colored] = GRAY
    opacity = np.where(is_colored, 255 - low, np.minimum(255, (255 - high.astype(int)) * 255 // 215))
    opacity[opacity <= 255 - NEARLY_WHITE] = 0  # The palette of the file has this background color only approximately.
    opacity[is_image] = 255
    ink[is_image] = pixels[is_image]
    ink[opacity == 0] = 0
    buffer = io.BytesIO()
    picture = Image.fromarray(np.dstack([ink, opacity.astype(np.uint8)]), "RGBA")
    picture.save(buffer, "WEBP", lossless=True, quality=30, method=2)
    return buffer.getvalue()


def _names(trial: Trial) -> list[str]:
    return [name.partition("/")[2] for name in RunDir(Folder.at(trial.folder)).montages()]


def _examples(runs: Runs, *, with_unfinished: bool) -> Iterator[Trial]:
    """The first finished trial of each dataset and scenario with clusters."""
    seen: set[tuple[str, str]] = set()
    for trial in runs.trials:
        kind = (trial.dataset_name, trial.scenario)
        if (
            (trial.status == "finished" or with_unfinished)
            and trial.folder
            and trial.config.resolved_scenario.forms_clusters
            and kind not in seen
        ):
            seen.add(kind)
            yield trial
