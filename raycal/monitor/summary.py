"""Prints the table at the end of a sweep, with one row per scenario and setting over all seeds, and the failures."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raycal.config import ExperimentConfig
from raycal.config.labels import ABSENT, experiment_labels, scenario_names, seedless_id, setting_values, varied_keys
from raycal.errors import counted
from raycal.storage.data_variants import RunInputs, data_variants
from raycal.storage.results import IterationRecord, last_defined
from raycal.storage.run_dir import TrialState
from raycal.storage.sweep_dir import SweepDir

MIN_WIDTH, MAX_WIDTH = 120, 10_000
NO_REASON = "did not finish and left no reason: its worker or its node died, or the disk is full"
VALUE_COLUMNS = ("seeds", "iterations", "interactions", "annotated", "cluster label error", "test accuracy")


def print_summary(sweep_dir: SweepDir, experiments: Mapping[str, ExperimentConfig]) -> None:
    """Print the final results of the finished experiments as means over seeds, and how many were stopped early.

    The groups have the same names as in the report: each name is unique in the whole plan, which may also contain
    trials that the table does not show. One line says how many finished trials the table leaves out.

    Args:
        sweep_dir: The folder of the sweep.
        experiments: The experiments to show, by id.
    """
    plan = sweep_dir.read_plan()
    planned = {} if plan is None else plan.experiments
    whole = {**planned, **experiments}
    states = {key: sweep_dir.run_dir(key).state() for key in whole}
    lasts = {key: _at_the_end(sweep_dir, key) for key in experiments if states[key] is TrialState.FINISHED}
    groups: dict[tuple[str, ...], list[IterationRecord]] = {}
    labels: dict[tuple[str, ...], str] = {}
    settings: dict[str, tuple[str, ...]] = {}
    configs = list(whole.values())
    varied = varied_keys(configs)
    read = data_variants([RunInputs(config, sweep_dir.run_dir(key).environment()) for key, config in whole.items()])
    names, all_labels = scenario_names(configs), experiment_labels(configs)
    if any(read):
        varied = [*varied, "data"]
        print(
            "trials read different images, labels or weights, and no mean is taken over different data: see column data"
        )
    for key, name, label, data in zip(whole, names, all_labels, read, strict=True):
        if not lasts.get(key):  # The trial has not finished, or its results file was removed.
            continue
        flat = setting_values(experiments[key], varied) | {"scenario": name, "data": data}
        group = settings.setdefault(
            f"{seedless_id(experiments[key])} {data}", tuple(str(flat.get(setting, ABSENT)) for setting in varied)
        )
        labels[group] = f"{label}, {data}" if data else label
        groups.setdefault(group, []).extend(lasts[key])
    if groups:
        _print_table(varied, groups, labels)
    left_out = [key for key in planned if key not in experiments and states[key] is TrialState.FINISHED]
    if left_out:
        print(_left_out(left_out, set(plan.removed) if plan else set()))
    stopped = Counter(sweep_dir.run_dir(key).reason() for key in experiments if states[key] is TrialState.STOPPED)
    for reason, count in stopped.items():
        were, are = ("trial was", "is") if count == 1 else ("trials were", "are")
        print(f"{count} {were} stopped early by {reason} and {are} not in the table")


def _left_out(experiment_ids: Collection[str], removed: Collection[str]) -> str:
    """One line about finished trials of the plan that are not in the table."""
    gone = sum(key in removed for key in experiment_ids)
    words = [f"{counted(gone, 'trial')} no longer in the sweep file"] if gone else []
    if others := len(experiment_ids) - gone:
        words.append(f"{counted(others, 'trial')} that --only leaves out")
    them = "it" if len(experiment_ids) == 1 else "them"
    return f"finished but not in this table: {' and '.join(words)}; the report has {them}"


def _at_the_end(sweep_dir: SweepDir, experiment_id: str) -> list[IterationRecord]:
    """The last line of a run. Its cluster label error is taken from the last iteration that has a cluster label error,
    as in the report."""
    lines = sweep_dir.run_dir(experiment_id).results()
    return [line | {"cluster_label_error": last_defined(lines, "cluster_label_error")} for line in lines[-1:]]


def _print_table(
    varied: Sequence[str], groups: Mapping[tuple[str, ...], Sequence[IterationRecord]], labels: Mapping[Any, str]
) -> None:
    """Print a table with a column for each setting. If this table is too wide, one column with the group's label
    replaces these columns."""
    console = Console(file=sys.stdout)
    console.width = max(console.width, MIN_WIDTH)
    names = _short_names(varied)
    table = _table(names, [_row(group, lines) for group, lines in groups.items()])
    if _width(console, table) > console.width:
        told = [place for place, key in enumerate(varied) if key.startswith("dataset")]
        rows = [_row([*(group[place] for place in told), labels[group]], lines) for group, lines in groups.items()]
        table = _table([*(names[place] for place in told), "scenario"], rows)
        console.width = max(console.width, _width(console, table))
    console.print(table)


def _row(names: Sequence[str], lines: Sequence[IterationRecord]) -> list[str | Text]:
    return [*map(Text, names), *_cells(lines)]


def _width(console: Console, table: Table) -> int:
    """The width of the table's longest line."""
    return console.measure(table, options=console.options.update(max_width=MAX_WIDTH)).maximum


def _table(names: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True, overflow="fold")
    for name in VALUE_COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def print_failures(
    sweep_dir: SweepDir, unfinished: Mapping[str, ExperimentConfig], labels: Mapping[str, str] | None = None
) -> None:
    """Print the id, the label if there is one, the reason and the folder of each trial that did not finish."""
    for experiment_id in unfinished:
        run_dir = sweep_dir.run_dir(experiment_id)
        reason = (run_dir.error() or NO_REASON).strip().splitlines()
        name = "  ".join(filter(None, (experiment_id, (labels or {}).get(experiment_id))))
        # The first line of the reason has the phase and the error; the last line of a traceback names the exception.
        print(*dict.fromkeys((f"failed  {name}", reason[0], reason[-1], run_dir.folder.place)), sep="\n        ")


def _short_names(keys: Sequence[str]) -> list[str]:
    """The last words of dotted keys. A key is kept whole if its last word also ends another key, or is the name of a
    column of values."""
    keys = [key.removesuffix(".name") for key in keys]
    lasts = [*(key.rpartition(".")[2] for key in keys), *VALUE_COLUMNS]
    longer = (key if "." in key else f"{key} (set)" for key in keys)
    return [long if lasts.count(last) > 1 else last for long, last in zip(longer, lasts, strict=False)]


def _cells(lines: Sequence[IterationRecord]) -> list[str]:
    errors = [line["cluster_label_error"] for line in lines if line["cluster_label_error"] is not None]
    accuracies = [line["test_accuracy"] for line in lines]
    spread = f" ± {stdev(accuracies):.3f}" if len(accuracies) > 1 else ""
    return [
        str(len(lines)),
        f"{fmean(line['iteration'] + 1 for line in lines):g}",
        f"{fmean(line['interactions'] for line in lines):,.0f}",
        f"{fmean(line['annotated'] for line in lines):,.0f}",
        f"{fmean(errors):.1%}" if errors else "-",
        f"{fmean(accuracies):.3f}{spread}",
    ]
