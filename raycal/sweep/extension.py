"""Decides what `--resume` may change in a planned sweep: trials may be added or left out, but a trial's settings may
not change."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raycal.config import ExperimentConfig, SearchConfig, Sweep
from raycal.config.experiment import PLUGINS
from raycal.errors import InputError
from raycal.storage.inputs import SHORT_DIGEST, SOURCES
from raycal.storage.sweep_dir import SweepPlan

_OF_PLUGIN = f"{PLUGINS}."
Experiments = Mapping[str, ExperimentConfig]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """The plan of an earlier start, extended by what the sweep file contains now.

    Attributes:
        earlier: The plan as the earlier start left it.
        plan: The plan with the new trials at its end; trials that are no longer in the file are marked.
    """

    earlier: SweepPlan
    plan: SweepPlan

    @property
    def is_changed(self) -> bool:
        """Whether the plan has to be written again."""
        return self.earlier != self.plan

    @property
    def new(self) -> list[str]:
        """The ids of the trials that no earlier start planned."""
        return [key for key in self.plan.experiments if key not in self.earlier.experiments]

    def __str__(self) -> str:
        """One line for the person who extends the sweep; empty if no trial was added or removed."""
        before, after = set(self.earlier.removed), set(self.plan.removed)
        words = []
        if new := len(self.new):
            words.append("1 trial is new" if new == 1 else f"{new} trials are new")
        if back := len(before - after):
            words.append(
                "1 trial is in the sweep file again" if back == 1 else f"{back} trials are in the sweep file again"
            )
        if gone := len(after - before):
            words.append(
                "1 trial planned earlier is no longer in the sweep file: it is kept and marked"
                if gone == 1
                else f"{gone} trials planned earlier are no longer in the sweep file: they are kept and marked"
            )
        if more := _num_samples(self.plan) - _num_samples(self.earlier):
            words.append(f"the search may run {more} more trial{'' if more == 1 else 's'}")
        return "; ".join(words)


def extend(plan: SweepPlan, sweep: Sweep) -> Extension:
    """Compare a plan with what the sweep file contains now, and add what is new.

    An axis is a key that the grid or the random search varies, now or in the plan. Two experiments are the same trial
    when they agree on every axis that can change their results.

    Raises:
        InputError: A planned trial would get other settings, or a search that decides trial by trial was changed. Such
            a search may only get a larger number of samples. There is a line for each key that differs.
    """
    if plan.base is None and sweep.base is None:
        return Extension(earlier=plan, plan=_extended(plan, sweep))
    _refuse_changed_search(plan, sweep)
    return Extension(earlier=plan, plan=replace(plan, search=sweep.search))


def _extended(plan: SweepPlan, sweep: Sweep) -> SweepPlan:
    planned, asked = plan.experiments, sweep.experiments
    new = {key: config for key, config in asked.items() if key not in planned}
    gone = {key: config for key, config in planned.items() if key not in asked}
    known = _varying(planned.values()) if plan.axes is None else plan.axes
    axes = tuple(dict.fromkeys((*known, *sweep.axes)))
    if new:
        _refuse_other_recipe(planned)
        changed = dict.fromkeys((*_changed_trials(gone, new, axes), *_changed_for_all(planned, asked, axes)))
        if changed:
            before, now = _values(planned.values()), _values(asked.values())
            # If only the plan or only the sweep file uses a plug-in, the plug-in did not change: another key says what
            # is used instead.
            said = [key for key in changed if not _is_of_plugin(key) or (key in before and key in now)]
            raise InputError(*(_change(key, before.get(key), now.get(key), sweep) for key in said))
    elif not gone and plan.axes is None and not plan.removed:
        return plan  # The plan stays as an earlier version of raycal wrote it.
    return replace(plan, experiments={**planned, **new}, axes=axes, removed=tuple(gone))


def _refuse_other_recipe(planned: Experiments) -> None:
    if any(config.experiment_id != key for key, config in planned.items()):
        raise InputError(
            "--resume: the sweep was planned by a version of raycal whose results differ; start it under another name"
        )


def _changed_trials(gone: Experiments, new: Experiments, axes: Collection[str]) -> Iterable[str]:
    """The keys in which a new experiment differs from the planned experiment that it replaces; the two agree on every
    axis."""
    places: dict[str, list[ExperimentConfig]] = {}
    for config in gone.values():
        places.setdefault(_place(config, axes), []).append(config)
    for config in new.values():
        for replaced in places.get(_place(config, axes), ()):
            counting = {**_counting(replaced.identity(), replaced), **_counting(config.identity(), config)}
            before, now = replaced.flat(), config.flat()
            yield from (key for key in counting if _text(before, key) != _text(now, key))


def _changed_for_all(planned: Experiments, asked: Experiments, axes: Collection[str]) -> Iterable[str]:
    """The keys, except axes, that have one value in all planned experiments and another value in all experiments of the
    sweep file."""
    before, now = (_values(each.values(), _relevant) for each in (planned, asked))
    for key in before.keys() & now.keys():
        if not _is_on(key, axes) and len(before[key]) == len(now[key]) == 1 and before[key] != now[key]:
            yield key


def _place(config: ExperimentConfig, axes: Collection[str]) -> str:
    """The values of an experiment on the axes, as JSON; axes that cannot change its results are left out."""
    settings = _counting(config.identity(), config)
    return json.dumps({key: value for key, value in sorted(settings.items()) if _is_on(key, axes)})


def _is_on(key: str, axes: Collection[str]) -> bool:
    return any(key == axis or key.startswith(f"{axis}.") for axis in axes)


def _relevant(config: ExperimentConfig) -> dict[str, Any]:
    return _counting(config.relevant(), config)


def _counting(settings: Mapping[str, Any], config: ExperimentConfig) -> dict[str, Any]:
    """The settings of an experiment by dotted key: the settings that are in `settings`, and all settings of the
    scenario."""
    flat = config.flat()
    return {key: value for key, value in flat.items() if key.partition(".")[0] == "scenario" or _has(settings, key)}


def _has(settings: Mapping[str, Any], key: str) -> bool:
    node: Any = settings
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _varying(experiments: Iterable[ExperimentConfig]) -> tuple[str, ...]:
    """The keys that take several values. These are the axes of a plan that did not record its axes."""
    return tuple(key for key, values in _values(experiments).items() if len(values) > 1)


def _refuse_changed_search(plan: SweepPlan, sweep: Sweep) -> None:
    planned, asked = _search_values(plan.search, plan.base), _search_values(sweep.search, sweep.base)
    if not planned or not asked:
        planned, asked = ({"search": settings["search.algorithm"]} if settings else {} for settings in (planned, asked))
    elif _num_samples(plan) <= _num_samples(sweep):
        del planned["search.num_samples"], asked["search.num_samples"]
    changes = [
        _change(key, planned.get(key), asked.get(key), sweep)
        for key in {**planned, **asked}
        if planned.get(key) != asked.get(key) and not _is_of_plugin(key)
    ]
    # The search may use a plug-in that its base experiment does not use.
    loaded = {plugin.name: json.dumps(plugin.digest) for plugin in sweep.plugins}
    for key, digests in _values(plan.experiments.values()).items():
        name = key.removeprefix(_OF_PLUGIN)
        if _is_of_plugin(key) and name in loaded and digests != [loaded[name]]:
            changes.append(_change(key, digests, [loaded[name]], sweep))
    if changes:
        raise InputError(*changes)


def _num_samples(plan: SweepPlan | Sweep) -> int:
    return 0 if plan.search is None else plan.search.num_samples


def _search_values(search: SearchConfig | None, base: ExperimentConfig | None) -> dict[str, list[str]]:
    """Every key of the search and of its base experiment; empty for a sweep whose experiments were all planned."""
    if search is None or base is None:
        return {}
    settings = search.model_dump(mode="json")
    space = {f"search.space.{key}": value for key, value in settings.pop("space").items()}
    values = {f"search.{key}": value for key, value in settings.items()} | space
    return {key: [json.dumps(value)] for key, value in values.items()} | _values([base])


def _values(
    experiments: Iterable[ExperimentConfig],
    settings: Callable[[ExperimentConfig], Mapping[str, Any]] = ExperimentConfig.flat,
) -> dict[str, list[str]]:
    """The values that each key takes over the experiments, as JSON."""
    values: dict[str, list[str]] = {}
    for experiment in experiments:
        for key, value in settings(experiment).items():
            seen = values.setdefault(key, [])
            if (text := json.dumps(value)) not in seen:
                seen.append(text)
    return values


def _text(flat: Mapping[str, Any], key: str) -> str:
    return json.dumps(flat[key]) if key in flat else ""


def _is_of_plugin(key: str) -> bool:
    return key.startswith(_OF_PLUGIN)


def _change(key: str, before: list[str] | None, now: list[str] | None, sweep: Sweep) -> str:
    """The error line for a key that had other values when the sweep was planned."""
    if _is_of_plugin(key):
        name = key.removeprefix(_OF_PLUGIN)
        plugin = next((plugin for plugin in sweep.plugins if plugin.name == name), None)
        was = json.loads((before or ['""'])[0])[:SHORT_DIGEST]
        where = (
            f"put back the text that the folder of the sweep keeps in {SOURCES}/{was}"
            if plugin is not None and plugin.files
            else f"install the version with the digest {was} again"
        )
        reference = name if plugin is None else plugin.given
        return (
            f"--resume: the plug-in {reference} has changed since the sweep was planned; {where}, "
            "or give the sweep another name or --storage"
        )
    was, is_now = ("not given" if values is None else ", ".join(values) for values in (before, now))
    return (
        f"--resume: {key} was {was} when the sweep was planned and is now {is_now}; "
        "put it back, or give the sweep another name or --storage"
    )
