"""Pictures of the clusters that the expert was shown, as in figure 1 of the paper, if the trials saved any."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

from raycal.report.runs import Runs, Trial
from raycal.storage.folder import Folder

MAX_BYTES = 4_000_000  # for all pictures together, so that the page stays small enough to send by mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Montage:
    """One picture of clusters.

    Attributes:
        caption: The dataset, scenario, seed and iteration of the picture.
        uri: The PNG as a data URI.
    """

    caption: str
    uri: str


def montages(runs: Runs) -> list[Montage]:
    """The first and the last iteration of one finished trial per dataset and scenario, up to `MAX_BYTES` in total."""
    pictures: list[Montage] = []
    size = 0
    for trial in _examples(runs):
        folder = Folder.at(trial.folder).folder("clusters")
        names = folder.names("iteration-*.png")
        for name in dict.fromkeys(names[:1] + names[-1:]):
            content = folder.read(name) or b""
            size += len(content)
            if size > MAX_BYTES:
                return pictures
            number = re.sub(r"\D", "", name)
            pictures.append(
                Montage(
                    caption=f"{trial.dataset_name}, {trial.scenario}, seed {trial.config.seed}, "
                    f"iteration {int(number)}",
                    uri="data:image/png;base64," + base64.b64encode(content).decode(),
                )
            )
    return pictures


def _examples(runs: Runs) -> Iterator[Trial]:
    seen: set[tuple[str, str]] = set()
    for trial in runs.trials:
        kind = (trial.dataset_name, trial.scenario)
        if (
            trial.status == "finished"
            and trial.folder
            and trial.config.resolved_scenario.forms_clusters
            and kind not in seen
        ):
            seen.add(kind)
            yield trial
