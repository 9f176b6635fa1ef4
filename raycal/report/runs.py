"""The runs of a sweep as the report uses them, independent of where they were read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from raycal.algorithm.expert import experts
from raycal.algorithm.guessing import guessing_accuracy
from raycal.algorithm.scenario import Ask
from raycal.config import ExperimentConfig
from raycal.config.dataset_names import dataset_name, dataset_names
from raycal.config.labels import (
    ABSENT,
    concerns,
    experiment_labels,
    named_settings,
    scenario_names,
    seedless_id,
    varied_keys,
)
from raycal.errors import InputError
from raycal.storage.data_variants import RunInputs, data_variants
from raycal.storage.folder import Folder
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import Outcome, RunDir, TrialState
from raycal.storage.sweep_dir import SweepDir, SweepPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One experiment.

    Attributes:
        scenario: The scenario's name, with its steps if another scenario of the sweep has the same name.
        status: Only `finished` trials enter statistics. A `stopped` trial was ended early by a scheduler.
        reason: Why the trial failed or was stopped; empty otherwise.
        lines: The records of results.jsonl, one per iteration.
        folder: The run folder, in a form that `Folder.at` accepts; empty if there is no folder.
        data: `data 1`, `data 2` and so on, if trials of this dataset have read different images or weights.
        is_removed: Whether the sweep file no longer contains the trial.
        dataset_name: The name of the dataset in the sweep.
        even_chance: The accuracy that guessing would reach if every class had equally many test images; None if it is
            unknown.
    """

    experiment_id: str
    config: ExperimentConfig
    scenario: str
    status: Outcome
    reason: str
    lines: tuple[IterationRecord, ...]
    folder: str
    data: str = ""
    is_removed: bool = False
    dataset_name: str = ""
    even_chance: float | None = None

    def __post_init__(self) -> None:
        """Derive the dataset's name from the configuration if none was passed."""
        if not self.dataset_name:
            object.__setattr__(self, "dataset_name", dataset_name(self.config))

    @property
    def dataset(self) -> str:
        """A key of the dataset: its options and the version of its data, equal for trials on the same data."""
        return f"{self.config.dataset.model_dump_json()} {self.data}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials that differ by their seed alone.

    Attributes:
        settings: The settings that differ between the groups of a sweep, by dotted key, the scenario's name first. The
            value is `ABSENT` if the group has no such option.
        label: The scenario and the settings that distinguish the group from others of its dataset, without settings
            that cannot affect the group.
        trials: The trials in the order of their seeds.
    """

    settings: Mapping[str, str]
    label: str
    trials: tuple[Trial, ...]

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return self.trials[0].scenario

    @property
    def note(self) -> str:
        """The label without the scenario's name."""
        return self.label.removeprefix(self.scenario)[2:-1]

    @property
    def is_bound(self) -> bool:
        """Whether the group is an upper bound: it uses true labels in a way that no human annotator can."""
        config = self.trials[0].config
        asks_best_first = concerns(config, "clustering.order") and config.clustering.order == "oracle"
        sorts_clusters = config.resolved_scenario.asks(Ask.CLUSTERS) and "perfect_purity" in (
            expert["name"] for _, expert in experts.chain(config.expert.model_dump())
        )
        return asks_best_first or sorts_clusters

    @property
    def removed(self) -> tuple[Trial, ...]:
        """The trials that the sweep file no longer contains."""
        return tuple(trial for trial in self.trials if trial.is_removed)

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The finished trials, which are the only ones that enter statistics."""
        return tuple(trial for trial in self.trials if trial.status == "finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All trials of a sweep in the order of its plan, or of several sweeps, one after another."""

    name: str
    trials: tuple[Trial, ...]

    @property
    def warnings(self) -> list[str]:
        """Warnings that a reader needs before the figures, one sentence each."""
        mixed = {trial.dataset_name.removesuffix(f" {trial.data}"): None for trial in self.trials if trial.data}
        return [
            f"The trials on {name} have read different images, labels or weights: they are shown separately, as "
            "data 1, data 2 and so on, and no mean is taken over different data."
            for name in mixed
        ]

    @property
    def incomplete(self) -> tuple[Trial, ...]:
        """The unfinished trials that the sweep file still contains."""
        return tuple(trial for trial in self.trials if trial.status != "finished" and not trial.is_removed)

    @property
    def removed_words(self) -> str:
        """One sentence about the trials that the sweep file no longer contains; empty if there are no such trials."""
        removed = [trial for trial in self.trials if trial.is_removed]
        if not removed:
            return ""
        finished = sum(trial.status == "finished" for trial in removed)
        one = len(removed) == 1
        return (
            f"{len(removed)} trial{' is' if one else 's are'} no longer in the sweep file: {finished} finished and "
            f"{'stays' if finished == 1 else 'stay'} in the figures, {len(removed) - finished} did not finish and "
            f"will not run; the column note marks {'it' if one else 'them'}."
        )

    @property
    def groups(self) -> Sequence[Group]:
        """The trials grouped over their seeds, in the order of the plan."""
        configs = [trial.config for trial in self.trials]
        keys = varied_keys(configs)
        labels = dict(zip((trial.experiment_id for trial in self.trials), experiment_labels(configs), strict=True))
        grouped: dict[tuple[str, str], list[Trial]] = {}
        for trial in self.trials:
            grouped.setdefault((trial.data, seedless_id(trial.config)), []).append(trial)
        groups = []
        for trials in grouped.values():
            flat = named_settings(trials[0].config) | {"scenario": trials[0].scenario}
            settings = {key: str(flat.get(key, ABSENT)) for key in keys}
            label = labels[trials[0].experiment_id]
            trials.sort(key=lambda trial: trial.config.seed)
            groups.append(Group(settings=settings, label=label, trials=tuple(trials)))
        return groups


def read_runs(folder: str | Folder, *more: str | Folder) -> Runs:
    """Read the runs in the folder of a sweep (`<storage>/<sweep name>`), or the runs in the folders of several sweeps
    together.

    Trials of several sweeps that differ by their seed alone form one group. An experiment that several sweeps have
    counts once. Such an experiment is read from the first sweep in which it finished or, if it finished in no sweep,
    from the first sweep that has it.

    Args:
        folder: A location that `Folder.at` accepts, or a folder that is already open with its credentials.
        more: The folders of the other sweeps.

    Raises:
        InputError: A folder is no sweep folder, or files of a run changed after the run had ended.
    """
    sweeps = [_open(each) for each in (folder, *more)]
    planned = [
        _Planned(sweep_dir, key, config, key in plan.removed)
        for sweep_dir, plan in sweeps
        for key, config in plan.experiments.items()
    ]
    if more:
        planned = _each_once(planned)
    configs = [each.config for each in planned]
    variants = data_variants([RunInputs(each.config, each.run_dir.environment()) for each in planned])
    names = zip(scenario_names(configs), dataset_names(configs), variants, strict=True)
    return Runs(
        name=" and ".join(dict.fromkeys(plan.sweep for _, plan in sweeps)),
        trials=tuple(
            replace(
                _read(each.run_dir, each.key, each.config, scenario),
                is_removed=each.is_removed,
                data=data,
                dataset_name=f"{dataset} {data}".rstrip(),
            )
            for each, (scenario, dataset, data) in zip(planned, names, strict=True)
        ),
    )


class _Planned(NamedTuple):
    """An experiment in the plan of a sweep."""

    sweep_dir: SweepDir
    key: str
    config: ExperimentConfig
    is_removed: bool

    @property
    def run_dir(self) -> RunDir:
        """The folder of the experiment."""
        return self.sweep_dir.run_dir(self.key)


def _open(folder: str | Folder) -> tuple[SweepDir, SweepPlan]:
    """The sweep folder at a place, and its plan."""
    sweep_dir = SweepDir(Folder.at(folder) if isinstance(folder, str) else folder)
    return sweep_dir, sweep_dir.existing_plan()


def _each_once(planned: Sequence[_Planned]) -> list[_Planned]:
    """Each experiment once, in the order of its first plan, taken from the first sweep that has finished it."""
    chosen: dict[str, _Planned] = {}
    for each in planned:
        if each.key not in chosen or (
            each.run_dir.state() is TrialState.FINISHED and chosen[each.key].run_dir.state() is not TrialState.FINISHED
        ):
            chosen[each.key] = each
    return list(chosen.values())


def _read(run_dir: RunDir, experiment_id: str, config: ExperimentConfig, scenario: str) -> Trial:
    if damage := run_dir.damage():
        raise InputError(*damage)
    state = run_dir.state()
    return Trial(
        experiment_id=experiment_id,
        config=config,
        scenario=scenario,
        status=state.outcome,
        reason="" if state is TrialState.FINISHED else (run_dir.reason() or "").strip(),
        lines=tuple(run_dir.results()),
        folder=run_dir.folder.uri,
        even_chance=_even_chance(run_dir.environment()),
    )


def _even_chance(environment: Mapping[str, Any]) -> float | None:
    """The accuracy that guessing would reach on a test split with equally many images of each class."""
    dataset = environment.get("dataset", {})
    num_classes, num_test = (dataset.get(key) for key in ("num_classes", "num_test"))
    return guessing_accuracy(1 / num_classes, num_test) if num_classes and num_test else None
