"""Reads the samples of a project, in the order in which earlier starts numbered them."""

from collections.abc import Mapping
from typing import NamedTuple

from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo, LoadedDataset
from raycal.data.cache import absolute
from raycal.data.decode import Progress, ignore_progress
from raycal.data.places import FilePlace
from raycal.data.unlabeled import FoundSamples, SampleList, Unlabeled, unlabeled_samples
from raycal.errors import InputError, counted
from raycal.experiment import build
from raycal.people.log import read_events
from raycal.people.project_samples import list_name, read_sample_list, write_sample_list
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir


class Opened(NamedTuple):
    """The samples of a project.

    Attributes:
        dataset: The samples.
        root: The folder, or another place, that the files of the samples are in. None if the samples did not come from
            one file each.
        duplicates: The name of each sample that was left out as a duplicate, mapped to the name of the sample with the
            same content.
    """

    dataset: LoadedDataset
    root: FilePlace | None
    duplicates: Mapping[str, str] = {}


class _Found(NamedTuple):
    """Samples without labels that `ProjectSamples.inspect` has found.

    Attributes:
        samples: The samples.
        before: The list of an earlier start. None at the first start.
        listed: The content of the file with this list.
    """

    samples: FoundSamples[LoadedDataset]
    before: SampleList | None
    listed: bytes | None


class ProjectSamples:
    """Reads the samples of one project.

    A folder of 100,000 images is searched only once: `open` uses what `inspect` has found.
    """

    def __init__(self) -> None:
        self._found: _Found | None = None

    def inspect(self, config: ExperimentConfig, *, sweep_dir: SweepDir) -> DatasetInfo:
        """The sizes of the pool and of the hold-out of a project, which may have been started before.

        Raises:
            InputError: The samples cannot be used, or some of an earlier start are missing.
        """
        dataset = build.dataset(config)
        unlabeled = unlabeled_samples(dataset)
        if unlabeled is None:
            return dataset.inspect()
        self._found = _find(unlabeled, sweep_dir.run_dir(config.experiment_id).folder)
        return self._found.samples.info

    def open(self, config: ExperimentConfig, run_folder: Folder, progress: Progress = ignore_progress) -> Opened:
        """The samples, in the order of earlier starts, which is recorded in the folder of the run.

        Args:
            config: The experiment.
            run_folder: The folder of the run.
            progress: Called while images are decoded.

        Raises:
            InputError: The samples cannot be used, or some of an earlier start are missing.
        """
        dataset = build.dataset(config)
        root = config.dataset.options.get("root")
        folder = None if root is None else absolute(root)
        unlabeled = unlabeled_samples(dataset)
        if unlabeled is None:
            samples = dataset.load()
            return Opened(samples, None if samples.source is None else samples.source.place or folder)
        kind, listed = unlabeled.kind, run_folder.read(list_name(unlabeled.kind))
        if listed is None and read_events(run_folder):
            raise InputError(
                f"{run_folder.place}/{list_name(kind)}: is missing, but the answers are about the {kind} in this list; "
                "restore it from a copy"
            )
        found, self._found = self._found, None
        if found is None or found.listed != listed:  # another server has served the project in the meantime
            found = _find(unlabeled, run_folder)
        loaded = found.samples.load(progress)
        write_sample_list(run_folder, loaded.sample_list)
        num_added = 0 if found.before is None else len(loaded.sample_list.names) - len(found.before.names)
        if num_added:
            are = "was" if num_added == 1 else "were"
            print(f"  {counted(num_added, f'new {loaded.dataset.noun}')} {are} added", flush=True)
        source = loaded.dataset.source
        return Opened(loaded.dataset, None if source is None else source.place, loaded.duplicates)


def _find(unlabeled: Unlabeled[LoadedDataset], run_folder: Folder) -> _Found:
    listed = run_folder.read(list_name(unlabeled.kind))
    before = read_sample_list(run_folder, unlabeled.kind, anywhere=unlabeled.names_anywhere)
    return _Found(unlabeled.find_listed(before), before, listed)
