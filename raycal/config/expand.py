"""The experiments that a sweep asks for, checked one by one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from raycal.config.experiment import PLUGINS, WORKERS, ExperimentConfig
from raycal.config.grid import MAX_COMBINATIONS, NOTHING, Combination, combinations, keys
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig
from raycal.config.search import SearchConfig
from raycal.config.setting import Setting, Template, origin
from raycal.config.yaml_file import Where
from raycal.registry import Registry

Registries = Mapping[str, Registry[Any]]
_RESOURCES = {WORKERS: "workers_per_trial"} | {key: key for key in ResourceConfig.model_fields}
MISPLACED = {
    PLUGINS: "belongs at the top level of the sweep file",
    **{key: f"belongs under resources, as resources.{name}" for key, name in _RESOURCES.items()},
}
REQUIRED = {key for key, field in ExperimentConfig.model_fields.items() if field.is_required()}
SPACE = ("search", "space")


def expand(
    grid: Mapping[str, Any],
    search: SearchConfig | None,
    template: Template,
    registries: Registries,
    problems: Problems,
) -> tuple[dict[str, ExperimentConfig], int]:
    """Every combination of the grid with every random sample, checked, and how many there are.

    The same experiment comes once.
    """
    combined = combinations(grid, problems)
    samples: list[Sequence[Setting]] = [()]
    if search is not None and combined:
        for key in keys(grid).keys() & search.space.keys():
            problems.say((*SPACE, key), "is a key of the grid, too; keep it in one of them")
        count = search.num_samples * len(combined)
        if count > MAX_COMBINATIONS:
            words = f"makes {count} combinations with those of the grid; at most {MAX_COMBINATIONS} are accepted"
            problems.say(("search", "num_samples"), words)
            return {}, 0
        before = len(problems.lines)
        _ = examples(search, template, registries, problems, combined[0])
        # A bound that is wrong is said once, not for every sample beyond it.
        fits = len(problems.lines) == before
        samples = [drawn(sample) for sample in search.samples()] if fits else [_first(search)]
    distinct: dict[Any, tuple[tuple[Setting, ...], Where]] = {}
    for sample in samples:
        for settings, at in combined:
            applied = template.settings([*sample, *settings])
            # Where `--set` pins a key of the grid, combinations become the same.
            distinct[tuple((setting.value_at, repr(setting.value)) for setting in applied)] = applied, at
    experiments: dict[str, ExperimentConfig] = {}
    for settings, at in distinct.values():
        config = checked(template, settings, registries, problems, asked_at=at)
        if config is not None:
            experiments.setdefault(config.experiment_id, config)
    return experiments, len(distinct)


def examples(
    search: SearchConfig,
    template: Template,
    registries: Registries,
    problems: Problems,
    combination: Combination = NOTHING,
) -> dict[str, ExperimentConfig]:
    """The base experiment, and it with one key of the space at one end or choice after the other, checked.

    A dataset or scenario that only the space gives is in the base experiment the first of its choices.
    """
    lacking = REQUIRED - template.base.keys()
    start = [setting for setting in _first(search) if setting.key in lacking] + list(combination.settings)
    found: dict[str, ExperimentConfig] = {}
    for settings in ([], *([setting] for setting in _ends(search))):
        applied = template.settings([*start, *settings])
        config = checked(template, applied, registries, problems, asked_at=combination.at)
        if config is not None:
            found.setdefault(config.experiment_id, config)
    return found


def drawn(values: Mapping[str, Any]) -> list[Setting]:
    """The settings of a sample."""
    return [Setting(key, value, (*SPACE, key), (*SPACE, key)) for key, value in values.items()]


def checked(
    template: Template,
    settings: Sequence[Setting],
    registries: Registries,
    problems: Problems,
    *,
    asked_at: Where | None = None,
) -> ExperimentConfig | None:
    """The experiment with these settings; None, and what is wrong, when there is a problem."""
    filled = template.fill(settings)
    for key in [key for key in filled if key in MISPLACED]:
        at = origin(("experiment",), (key,), settings, whole_key=True)
        problems.say(at, MISPLACED[key])
        del filled[key]
    try:
        return ExperimentConfig.model_validate(filled | {WORKERS: template.workers}, context=registries)
    except ValidationError as error:
        problems.add(error, ExperimentConfig, ("experiment",), settings=settings, asked_at=asked_at)
        return None


def _ends(search: SearchConfig) -> Iterator[Setting]:
    """Every end and every choice of the space, each at its place."""
    for key, domain in search.space.items():
        for row, value in enumerate(domain.ends()):
            yield Setting(key, value, (*SPACE, key), (*SPACE, key, domain.name, row))


def _first(search: SearchConfig) -> list[Setting]:
    """The first end or choice of every key of the space."""
    firsts: dict[str, Setting] = {}
    for setting in _ends(search):
        firsts.setdefault(setting.key, setting)
    return list(firsts.values())
