"""Writes a sweep file that describes the trials of a sweep, so that a reader of the report can run them again."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import yaml

from raycal.config.experiment import PLUGINS, WORKERS
from raycal.report.runs import Runs

# The page offers no sweep file with more entries than this. Trials that form no grid need one entry each.
LONGEST = 200


def sweep_file(runs: Runs) -> str:
    """The sweep file as YAML; empty if the trials need plug-ins, because the run folders do not have the code of
    plug-ins."""
    trials = [trial for trial in runs.trials if not trial.is_removed]
    if not trials or any(getattr(trial.config, PLUGINS, None) for trial in trials):
        return ""
    configs = [trial.config.model_dump(mode="json") for trial in trials]
    workers = {config.pop(WORKERS, 1) for config in configs}
    if len(workers) > 1:
        return ""
    for config in configs:
        config.pop(PLUGINS, None)
    keys = list(dict.fromkeys(key for config in configs for key in config))
    same = [key for key in keys if all(key in config and config[key] == configs[0][key] for config in configs)]
    varied = [key for key in keys if key not in same]
    grid = _grid(configs, varied)
    if "include" in grid and len(configs) > LONGEST:
        return ""
    tree: dict[str, Any] = {"name": runs.name, "experiment": {key: configs[0][key] for key in same}}
    if varied:
        tree["grid"] = grid
    if workers != {1}:
        tree["resources"] = {"workers_per_trial": workers.pop()}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120)


def _grid(configs: Sequence[dict[str, Any]], varied: Sequence[str]) -> dict[str, Any]:
    """The values of each key if the trials are all combinations of these values; otherwise one entry per trial."""
    values: dict[str, list[Any]] = {key: [] for key in varied}
    for config in configs:
        for key in varied:
            if key in config and config[key] not in values[key]:
                values[key].append(config[key])
    rows = [[config.get(key) for key in varied] for config in configs]
    every = [list(row) for row in product(*values.values())] if len(configs) < 10_000 else []
    if len(every) == len(rows) and all(row in rows for row in every):
        return values
    return {"include": [{key: config[key] for key in varied if key in config} for config in configs]}
