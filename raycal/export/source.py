"""Finds the run that is to be exported, and reads its configuration, its ledger, its images and its plug-ins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raycal.algorithm.records import Interaction
from raycal.config import ExperimentConfig
from raycal.data import LoadedDataset
from raycal.data.places import FilePlace
from raycal.errors import InputError, first_of
from raycal.experiment import build
from raycal.people.amendments import AmendmentFiles
from raycal.plugins import loaded_plugins
from raycal.storage.folder import Folder
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import CONFIG, RunDir
from raycal.storage.sweep_dir import PLAN, SweepDir

NUM_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run, with everything that an export needs.

    Attributes:
        name: The name of the sweep and the id of the experiment, as in `birds/digits-random-s0-1a2b3c4d`.
        run_dir: The folder of the run.
        config: The configuration of the run.
        results: A record for each finished iteration; at least one.
        ledger: The interactions of each finished iteration.
        amendments: The labels of D^L that people had amended when an iteration began, by the iteration.
    """

    name: str
    run_dir: RunDir
    config: ExperimentConfig
    results: Sequence[IterationRecord]
    ledger: Sequence[Sequence[Interaction]]
    amendments: Mapping[int, Mapping[int, int]] = field(default_factory=dict)

    @property
    def interactions(self) -> list[Interaction]:
        """The interactions of all finished iterations, in order."""
        return [row for rows in self.ledger for row in rows]


def read_source(place: str) -> Source:
    """Read a run folder, or a sweep folder that holds one run.

    Raises:
        InputError: There is no such run, it has not finished an iteration, or its files were changed.
    """
    folder = _run_folder(Folder.at(place))
    run_dir = RunDir(folder)
    if damage := run_dir.damage():
        raise InputError(*damage)
    results = run_dir.results()
    if not results:
        raise InputError(f"{folder.place}: no iteration of this run has finished, so there is nothing to export yet")
    ledger = []
    for record in results:
        try:
            ledger.append(run_dir.ledger_of(record["iteration"]))
        except ValueError as error:
            raise InputError(f"{folder.place}: the ledger of iteration {record['iteration']} is damaged") from error
    sweep, _, experiment_id = folder.path.rpartition("/")
    return Source(
        name=f"{sweep.rpartition('/')[2]}/{experiment_id}".lstrip("/"),
        run_dir=run_dir,
        config=run_dir.config(),
        results=results,
        ledger=ledger,
        amendments=AmendmentFiles(folder).read_all(),
    )


def load_images(config: ExperimentConfig) -> tuple[LoadedDataset, FilePlace | None]:
    """The images of a run, and the place of their files. The place is None if the images did not come from one file
    each.

    Raises:
        InputError: The images cannot be used.
    """
    dataset = build.dataset(config)
    images = dataset.load()
    return images, None if images.source is None else images.source.place or dataset.inspect().folder


def load_named_plugins(given: Sequence[str], config: ExperimentConfig) -> None:
    """Import the plug-ins that a run uses.

    Args:
        given: The paths or import names of plug-ins.
        config: The configuration of the run, which has the digests of its plug-ins.

    Raises:
        InputError: A plug-in is missing, or it is not the one that the run used.
    """
    from raycal.plugins.loading import load_plugins
    from raycal.plugins.source import find_plugin

    if given:
        load_plugins([find_plugin(one, Path.cwd()) for one in given], build.REGISTRIES)
    loaded = loaded_plugins()
    problems = []
    for name, digest in config.plugins.items():
        if name not in loaded:
            problems.append(f"--plugin: the run uses the plug-in {name}; give its path or its import name")
        elif loaded[name].digest != digest:
            problems.append(f"--plugin: {name} has changed since the run; give the version that the run used")
    if problems:
        raise InputError(*problems)


def _run_folder(folder: Folder) -> Folder:
    """The folder itself if it is a run, or the only run in it if it is a sweep."""
    try:
        if folder.exists(CONFIG) and not folder.exists(PLAN):
            return folder
        plan = SweepDir(folder).read_plan()
    except OSError as error:
        raise InputError(f"{folder.place}: cannot be read: {error.strerror or error}") from error
    if plan is None:
        raise InputError(f"{folder.place}: neither the folder of a run nor the folder of a sweep")
    begun = [key for key in plan.experiments if folder.folder(key).exists(CONFIG)]
    if not begun:
        raise InputError(f"{folder.place}: no run of this sweep has begun, so there is nothing to export yet")
    if len(begun) > 1:
        raise InputError(
            f"{folder.place}: holds {len(begun)} runs; give the folder of one of them: "
            + first_of([f"{folder.place}/{key}" for key in begun], NUM_NAMED)
        )
    return folder.folder(begun[0])
