"""Loads a sweep: the experiments that a sweep file asks for. All problems of the file are reported at once."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import Field, StringConstraints, ValidationError

from raycal.config.checks import ChecksConfig
from raycal.config.expand import REQUIRED, Registries, checked, drawn, examples, expand
from raycal.config.experiment import ExperimentConfig
from raycal.config.grid import varied_by
from raycal.config.guidelines import GuidelinesConfig
from raycal.config.looks import LooksConfig
from raycal.config.mapping import document_of
from raycal.config.overrides import Overrides, apply_overrides
from raycal.config.people import asks_people
from raycal.config.probes import ProbesConfig
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig, TrackingConfig
from raycal.config.scheduler import GivenScheduler, SchedulerConfig, incomparable
from raycal.config.search import SearchConfig
from raycal.config.setting import Template
from raycal.config.stop import StopConfig
from raycal.config.strict import Strict
from raycal.config.yaml_file import Where, read_yaml
from raycal.errors import InputError, printable
from raycal.installed import is_installed
from raycal.plugins import Plugin, find_plugin, installed_plugins, load_plugins
from raycal.registry import NAME_PATTERN


class _SweepFile(Strict):
    """The top level of a sweep file."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    plugins: list[str] = Field(default_factory=list)
    experiment: dict[str, Any]
    grid: dict[str, Annotated[list[Any], MinLen(1)]] = Field(default_factory=dict)
    search: SearchConfig | None = None
    scheduler: GivenScheduler = None
    resources: ResourceConfig = ResourceConfig()
    tracking: TrackingConfig = TrackingConfig()
    stop: StopConfig | None = None
    probes: ProbesConfig | None = None
    checks: ChecksConfig | None = None
    guidelines: GuidelinesConfig | None = None
    looks: LooksConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A checked sweep.

    Attributes:
        experiments: The experiments by id, in the order of the samples and the grid. Empty if the search decides the
            settings trial by trial (`algorithm: optuna`).
        num_combinations: Number of combinations of grid and samples. It is larger than the number of experiments if a
            setting cannot change the result of a scenario.
        examples: For a search that decides trial by trial: the base experiment, followed by experiments at the ends of
            the search space. Otherwise empty.
        axes: The keys that the grid and a random search vary.
        template: The common part of all experiments, from which `experiment_of` starts.
        registries: The extensions by kind, with which `experiment_of` checks names.
        plugins: The plug-ins that are loaded for the sweep: the installed plug-ins, and the plug-ins that the file
            names.
        notes: Notes for the user on the effects of overrides, one line each.
        stop: The rules by which a project of people suggests to stop.
        probes: How often a question of a project of people hides known samples.
        checks: How many questions of a project of people check labels.
        guidelines: What the owner of a project of people tells those who label.
        looks: How the page of a project of people shows large clusters.
    """

    name: str
    experiments: Mapping[str, ExperimentConfig]
    num_combinations: int
    resources: ResourceConfig
    tracking: TrackingConfig
    search: SearchConfig | None = None
    scheduler: SchedulerConfig | None = None
    examples: Mapping[str, ExperimentConfig] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    template: Template = field(default_factory=lambda: Template({}))
    registries: Registries = field(default_factory=dict)
    plugins: Sequence[Plugin] = ()
    notes: Sequence[str] = ()
    stop: StopConfig = field(default_factory=StopConfig)
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    checks: ChecksConfig = field(default_factory=ChecksConfig)
    guidelines: GuidelinesConfig = field(default_factory=GuidelinesConfig)
    looks: LooksConfig = field(default_factory=LooksConfig)

    @property
    def base(self) -> ExperimentConfig | None:
        """The experiment that a search starts from if it decides trial by trial; None if all experiments are known."""
        return next(iter(self.examples.values()), None)

    @property
    def num_trials(self) -> int:
        """The largest number of trials that the sweep may have."""
        return self.search.num_samples if self.search and self.base else len(self.experiments)

    def experiment_of(self, values: Mapping[str, Any]) -> ExperimentConfig:
        """The experiment with these values of the search space, given by dotted key.

        Raises:
            InputError: The combination of values is not accepted.
        """
        problems = Problems(self.name, {(): 1}, self.registries)
        config = checked(self.template, self.template.settings(drawn(values)), self.registries, problems)
        if config is None:
            raise InputError(*problems.lines)
        return config


def load_sweep(source: str | Mapping[str, Any], registries: Registries, *, overrides: Overrides = ()) -> Sweep:
    """Read a sweep, import its plug-ins, and check the whole sweep.

    Args:
        source: The path of a sweep file, or the content of such a file as nested mappings. Relative paths of plug-ins
            start from the folder of the file or, for a mapping, from the working directory.
        registries: The extensions that the sweep may name, by kind. The plug-ins add their extensions.
        overrides: `KEY=VALUE` strings as for `--set`, or values by key. A key that does not begin with a top-level key
            is a key of `experiment`. Overrides of `experiment` take precedence over the grid and the search.

    Raises:
        InputError: The sweep has problems; the error lists all of them.
    """
    document = read_yaml(source) if isinstance(source, str) else document_of(source)
    values = document.values
    problems = Problems(source if isinstance(source, str) else "", document.lines, registries)
    pinned, notes = apply_overrides(values, overrides, _SweepFile.model_fields, problems)
    folder = Path(source).parent if isinstance(source, str) else Path()
    plugins = _load_plugins(values.get("plugins"), folder, registries, problems)
    file, unusable = _validated(values, problems)
    template = Template(file.experiment, pinned, file.resources.workers_per_trial)
    search = None if file.search is None else _without_pinned(file.search, template)
    experiments, num_combinations, at_ends = _experiments(
        file.grid, search, template, registries, problems, unusable=unusable
    )
    if file.scheduler is not None:
        reason = incomparable([*experiments.values(), *at_ends.values()])
        if reason is not None:
            problems.say(("scheduler",), reason)
    known = [*experiments.values(), *at_ends.values()]
    names = ("stop", "probes", "checks", "guidelines", "looks")
    for_people = {name: getattr(file, name) for name in names}
    for section in (name for name, block in for_people.items() if block is not None):
        if known and not any(map(asks_people, known)):
            problems.say((section,), "is for projects that people label, with expert: people")
    if problems:
        raise InputError(*problems.lines)
    return Sweep(
        name=file.name,
        experiments=experiments,
        num_combinations=num_combinations,
        resources=file.resources,
        tracking=file.tracking,
        search=search,
        scheduler=file.scheduler,
        examples=at_ends,
        axes=() if at_ends else (*varied_by(file.grid), *(search.space if search else ())),
        template=template,
        registries=registries,
        plugins=plugins,
        notes=[printable(note) for note in notes],
        stop=file.stop or StopConfig(),
        probes=file.probes or ProbesConfig(),
        checks=file.checks or ChecksConfig(),
        guidelines=file.guidelines or GuidelinesConfig(),
        looks=file.looks or LooksConfig(),
    )


def _load_plugins(value: Any, folder: Path, registries: Registries, problems: Problems) -> Sequence[Plugin]:
    """Import the installed plug-ins and the plug-ins that the file names.

    Raises:
        InputError: A plug-in cannot be used. The rest of the file is then not checked, because it may name extensions
            of the plug-in.
    """
    before = len(problems.lines)
    plugin_of: dict[str, Plugin] = {plugin.module: plugin for plugin in installed_plugins()}
    places: dict[str, Where] = {}
    is_list = isinstance(value, list)
    items = value if is_list else [] if value is None else [value]
    for row, item in enumerate(items):
        where: Where = ("plugins", row) if is_list else ("plugins",)
        if not is_list or not isinstance(item, str):
            problems.say(where, f"should be a list of import names and paths, such as [./my_module.py], not {item!r}")
            continue
        try:
            plugin = find_plugin(item, folder)
        except InputError as error:
            problems.say(where, str(error))
            continue
        if any(plugin.name == other.name and plugin.digest != other.digest for other in plugin_of.values()):
            problems.say(where, f"{item}: another plug-in is also called {plugin.name}; rename one of the files")
        plugin_of.setdefault(plugin.module, plugin)
        places.setdefault(plugin.given, where)
    plugins = tuple(plugin_of.values())
    if len(problems.lines) == before:
        try:
            load_plugins(plugins, registries)
        except InputError as error:
            for line in error.problems:
                at = next((where for reference, where in places.items() if line.startswith(f"{reference}: ")), None)
                if at is None:
                    problems.say_line(f"plug-in {line}")
                else:
                    problems.say(at, line)
    if len(problems.lines) > before:
        raise InputError(*problems.lines)
    return plugins


def _validated(values: Mapping[str, Any], problems: Problems) -> tuple[_SweepFile, Set[str]]:
    """The sections of the file, and the names of the sections that cannot be used and are replaced by their
    defaults.
    """
    try:
        return _SweepFile.model_validate(values), frozenset()
    except ValidationError as error:
        problems.add(error, _SweepFile, ())
        unusable = {str(detail["loc"][0]) for detail in error.errors(include_url=False)}
    usable = {key: values[key] for key in _SweepFile.model_fields if key in values and key not in unusable}
    file = _SweepFile.model_validate({"name": "unnamed", "experiment": {}} | usable)
    if isinstance(values.get("grid"), dict):  # keys of the grid that have problems are skipped one by one
        file = file.model_copy(update={"grid": values["grid"]})
        unusable.discard("grid")
    return file, unusable


def _experiments(
    grid: Mapping[str, Any],
    search: SearchConfig | None,
    template: Template,
    registries: Registries,
    problems: Problems,
    *,
    unusable: Set[str],
) -> tuple[dict[str, ExperimentConfig], int, dict[str, ExperimentConfig]]:
    """The experiments, the number of combinations, and the examples of a search that decides trial by trial.

    The result is empty if a section that would set the dataset or the scenario cannot be used. In that case no missing
    dataset or scenario is reported.
    """
    if not unusable.isdisjoint({"experiment", "grid"}):
        return {}, 0, {}
    if "search" in unusable and not template.base.keys() >= REQUIRED:
        return {}, 0, {}
    if search is None or search.algorithm == "random":
        return *expand(grid, search, template, registries, problems), {}
    if grid:
        problems.say(("grid",), "should be empty with search: optuna; put the choices into search.space")
    if not search.space:
        problems.say(("search", "space"), "has no keys left, because --set gives values to all of them")
    if not is_installed("optuna"):
        problems.say(("search", "algorithm"), "optuna is not installed; pip install 'raycal[search]'")
    return {}, 0, examples(search, template, registries, problems)


def _without_pinned(search: SearchConfig, template: Template) -> SearchConfig:
    """The search without the keys to which `--set` gives a value."""
    space = {key: domain for key, domain in search.space.items() if not template.pins(key)}
    return search.model_copy(update={"space": space})
