"""Says what to do after a sweep, from what it lacks, with the command for each step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raycal.report.runs import Runs
from raycal.report.stats.comparison import RANDOM, SUPERVISED, by_dataset
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.targets import TARGETS

if TYPE_CHECKING:
    import pandas as pd  # A start with nothing left to do needs no tables, and pandas takes long to import.

ENOUGH_SEEDS = 3  # A first sweep should have this many seeds.
MORE_SEEDS = 2  # This many seeds are added if the scenarios cannot be told apart.


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do.

    Attributes:
        words: One or two sentences.
        change: The lines of the sweep file to change; empty if the file stays as it is.
        command: The command to run afterwards.
    """

    words: str
    change: str = ""
    command: str


def next_steps(runs: Runs, tables: "Mapping[str, pd.DataFrame]") -> list[Step]:
    """What to do next, the most urgent first."""
    return list(_steps(runs, tables))


def sweep_command(name: str, *options: str, storage: str = "runs") -> str:
    """The command that runs a sweep file."""
    return " ".join([f"python -m raycal.sweep {name}.yaml --storage {storage}", *options])


def _steps(runs: Runs, tables: "Mapping[str, pd.DataFrame]") -> Iterator[Step]:
    resume = sweep_command(runs.name, "--resume")
    if count := len(runs.incomplete):
        trials = "1 trial has" if count == 1 else f"{count} trials have"
        yield Step(words=f"{trials} not finished. Continue the sweep; failed trials are tried again.", command=resume)
    if _learned_nothing(runs):
        yield Step(
            words="The models are no better than guessing. Train them longer or with another learning "
            "rate. This starts new experiments, so give the sweep a new name, and look at its trials first:",
            change="experiment:\n  training: {stop: steps, steps: ..., learning_rate: ...}",
            command=sweep_command(runs.name, "--dry-run"),
        )
        return
    finished = [trial for trial in runs.trials if trial.status == "finished"]
    present = list(dict.fromkeys(trial.scenario for trial in runs.trials))
    missing = [name for name in (RANDOM, SUPERVISED) if name not in present]
    if missing and finished:
        reasons = {
            RANDOM: "random is what every scenario is compared with",
            SUPERVISED: "supervised says which accuracy is possible with all labels",
        }
        yield Step(
            words=f"Add {' and '.join(missing)}: {', and '.join(reasons[name] for name in missing)}.",
            change=f"grid:\n  scenario: [{', '.join([*present, *missing])}]",
            command=resume,
        )
    yield from _seeds(runs, tables, resume)
    if _never_reached(tables):
        yield Step(
            words=f"No scenario reached {TARGETS[0]} % of full supervision. Let the expert answer more: raise "
            "iterations or interactions_per_iteration. This starts new experiments, so give the sweep a new name.",
            command=sweep_command(runs.name, "--dry-run"),
        )
    yield Step(
        words="Compare single runs in MLflow. The command sends MLflow the runs that it does not have yet, and prints "
        "the address to open.",
        command=f"python -m raycal.track runs/{runs.name}",
    )


def _seeds(runs: Runs, tables: "Mapping[str, pd.DataFrame]", resume: str) -> Iterator[Step]:
    """Advise more seeds where there is only one, or where the best scenarios cannot be told apart."""
    counts = [len(group.finished) for group in runs.groups if group.finished]
    if not counts:
        return
    seeds = sorted({trial.config.seed for trial in runs.trials})
    recommendation = tables.get("recommendation")
    is_open = recommendation is not None and any(recommendation.get("not distinguishable from", ()))
    if min(counts) == 1:
        words, target = "There is one seed, so the order of the scenarios may be chance.", ENOUGH_SEEDS
        if max(counts) > 1:
            words = "Some groups have one finished seed, so their place in the order may be chance."
    elif is_open:
        words, target = "The best scenarios cannot be told apart. More seeds narrow the intervals.", len(seeds)
        target += MORE_SEEDS
    else:
        return
    more = list(seeds)
    while len(more) < target:
        more.append(max(more) + 1)
    if len(more) > len(seeds):
        yield Step(words=f"{words} Add seeds.", change=f"grid:\n  seed: {more}", command=resume)


def _learned_nothing(runs: Runs) -> bool:
    """Whether on no dataset any model is better than guessing."""
    pairs = [
        (accuracies.mean, guessing_level(comparison))
        for comparison in by_dataset(runs)
        for group in comparison.groups
        if (accuracies := final_accuracies(group)) is not None
    ]
    return bool(pairs) and all(is_guessing(accuracy, level) for accuracy, level in pairs)


def _never_reached(tables: "Mapping[str, pd.DataFrame]") -> bool:
    """Whether there is a target that neither a group nor guessing reached."""
    frame = tables.get("targets")
    if frame is None or "reached" not in frame:
        return False
    known = frame[[reached is not None for reached in frame["reached"]]]
    return len(known) > 0 and all(value is None for value in known["interactions of those that reached"])
