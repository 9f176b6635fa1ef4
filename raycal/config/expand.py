"""The experiments that a sweep asks for, checked one by one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from raycal.config.experiment import PLUGINS, WORKERS, ExperimentConfig
from raycal.config.grid import EMPTY_COMBINATION, MAX_COMBINATIONS, Combination, combinations, keys
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig
from raycal.config.search import SearchConfig
from raycal.config.setting import ConfigOverride, Template, origin
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
    """Combine every combination of the grid with every random sample, and check the resulting experiments.

    Returns:
        The experiments by id, each of them once, and the number of combinations.
    """
    combined = combinations(grid, problems)
    samples: list[Sequence[ConfigOverride]] = [()]
    if search is not None and combined:
        for key in keys(grid).keys() & search.space.keys():
            problems.say((*SPACE, key), "is also a key of the grid; keep it in one of the two")
        count = search.num_samples * len(combined)
        if count > MAX_COMBINATIONS:
            words = f"makes {count} combinations together with the grid; at most {MAX_COMBINATIONS} are accepted"
            problems.say(("search", "num_samples"), words)
            return {}, 0
        before = len(problems.lines)
        _ = examples(search, template, registries, problems, combined[0])
        # If a bound of the search space is wrong, report it once, not for every sample beyond it.
        fits = len(problems.lines) == before
        samples = [drawn(sample) for sample in search.samples()] if fits else [_first(search)]
    distinct: dict[Any, tuple[tuple[ConfigOverride, ...], Where]] = {}
    for sample in samples:
        for settings, at in combined:
            applied = template.settings([*sample, *settings])
            # If `--set` pins a key of the grid, several combinations become equal.
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
    combination: Combination = EMPTY_COMBINATION,
) -> dict[str, ExperimentConfig]:
    """The checked base experiment, and variants of it with one key of the search space at each end or choice.

    If only the search space gives a dataset or a scenario, the base experiment has the first choice of the search
    space.
    """
    lacking = REQUIRED - template.base.keys()
    start = [setting for setting in _first(search) if setting.key in lacking] + list(combination.settings)
    experiments: dict[str, ExperimentConfig] = {}
    for settings in ([], *([setting] for setting in _ends(search))):
        applied = template.settings([*start, *settings])
        config = checked(template, applied, registries, problems, asked_at=combination.at)
        if config is not None:
            experiments.setdefault(config.experiment_id, config)
    return experiments


def drawn(values: Mapping[str, Any]) -> list[ConfigOverride]:
    """The settings of a sample of the search space, made from the values of the sample by key."""
    return [ConfigOverride(key, value, (*SPACE, key), (*SPACE, key)) for key, value in values.items()]


def checked(
    template: Template,
    settings: Sequence[ConfigOverride],
    registries: Registries,
    problems: Problems,
    *,
    asked_at: Where | None = None,
) -> ExperimentConfig | None:
    """The experiment with these settings; None if there is a problem, which is added to `problems`."""
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


def _ends(search: SearchConfig) -> Iterator[ConfigOverride]:
    """Every end and every choice of the search space, each with its place in the sweep file."""
    for key, domain in search.space.items():
        for row, value in enumerate(domain.ends()):
            yield ConfigOverride(key, value, (*SPACE, key), (*SPACE, key, domain.name, row))


def _first(search: SearchConfig) -> list[ConfigOverride]:
    """The first end or choice of every key of the search space."""
    firsts: dict[str, ConfigOverride] = {}
    for setting in _ends(search):
        firsts.setdefault(setting.key, setting)
    return list(firsts.values())
