"""The table at the end of a sweep: a row per scenario and setting, seeds taken together, failures named."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raycal.algorithm.scenario import Scenario
from raycal.config import ExperimentConfig
from raycal.plan import SweepDir

MIN_WIDTH = 120
ABSENT = "-"  # of an option that the extension does not have
NO_REASON = "did not finish and left no reason: its worker or its node died, or the disk is full"
FIGURES = ("seeds", "iterations", "interactions", "annotated", "cluster label error", "test accuracy")


def print_summary(sweep_dir: SweepDir, experiments: Mapping[str, ExperimentConfig]) -> None:
    """Print the last iteration of every finished experiment, means over seeds, and how many were stopped early."""
    lasts = {key: sweep_dir.run_dir(key).results()[-1:] for key in experiments if sweep_dir.run_dir(key).is_finished}
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    varied = varied_keys(list(experiments.values()))
    names = dict(zip(experiments, scenario_names(list(experiments.values())), strict=True))
    for key, last in lasts.items():
        if not last:  # the file was taken away
            continue
        flat = experiments[key].flat() | {"scenario": names[key]}
        groups.setdefault(tuple(str(flat.get(name, ABSENT)) for name in varied), []).extend(last)
    if groups:
        _print_table(varied, groups)
    stopped = Counter(filter(None, (sweep_dir.run_dir(key).stopped_reason() for key in experiments)))
    for reason, count in stopped.items():
        were, are = ("trial was", "is") if count == 1 else ("trials were", "are")
        print(f"{count} {were} stopped early by {reason} and {are} not in the table")


def _print_table(varied: Sequence[str], groups: Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in _short_names(varied):
        table.add_column(name, no_wrap=True, overflow="fold")
    for name in FIGURES:
        table.add_column(name, justify="right")
    for group, lines in groups.items():
        table.add_row(*map(Text, group), *_cells(lines))
    console = Console(file=sys.stdout)
    console.width = max(console.width, MIN_WIDTH)
    console.print(table)


def print_failures(sweep_dir: SweepDir, unfinished: Mapping[str, ExperimentConfig]) -> None:
    """Print why each trial that did not finish failed, and where."""
    for experiment_id in unfinished:
        run_dir = sweep_dir.run_dir(experiment_id)
        reason = (run_dir.error() or NO_REASON).strip().splitlines()
        # The phase and the error; of a traceback its last line says what happened.
        print(
            *dict.fromkeys((f"failed  {experiment_id}", reason[0], reason[-1], run_dir.folder.place)), sep="\n        "
        )


def varied_keys(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The settings that differ between experiments, seeds and the scenario's inside apart; `scenario` first.

    An option that only some have, as it is that of an extension, differs when it does among those.
    """
    flats = [experiment.flat() for experiment in experiments]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    differing = [key for key in keys if len({str(flat[key]) for flat in flats if key in flat}) > 1]
    return ["scenario", *(key for key in differing if key != "seed" and not key.startswith("scenario"))]


def scenario_names(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The name of each experiment's scenario, with its steps where another one has the same name."""
    scenarios = [experiment.steps for experiment in experiments]
    words: dict[str, set[str]] = {}
    for scenario in scenarios:
        words.setdefault(scenario.name, set()).add(_words(scenario))
    return [
        f"{scenario.name} ({_words(scenario)})" if len(words[scenario.name]) > 1 else scenario.name
        for scenario in scenarios
    ]


def _words(scenario: Scenario) -> str:
    """The steps of a scenario, and by what it pseudo-labels."""
    words = [f"{step.share} {step.ask}" for step in scenario.steps]
    if (by := scenario.pseudo_labels) is not None:
        words += [f"pseudo-labels by {by.name}", *(f"{key} {value}" for key, value in by.options.items())]
    return ", ".join(words)


def _short_names(keys: Sequence[str]) -> list[str]:
    """The last words of dotted keys, where they are enough to tell them apart from each other and from the figures."""
    keys = [key.removesuffix(".name") for key in keys]
    lasts = [*(key.rpartition(".")[2] for key in keys), *FIGURES]
    longer = (key if "." in key else f"{key} (set)" for key in keys)
    return [long if lasts.count(last) > 1 else last for long, last in zip(longer, lasts, strict=False)]


def _cells(lines: Sequence[Mapping[str, Any]]) -> list[str]:
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
