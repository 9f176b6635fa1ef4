"""What makes the comparisons of a sweep doubtful: trainings that taught nothing, or that were not equally long."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from raycal.labels import recipe_words
from raycal.report.comparison import SUPERVISED, Comparison, by_dataset, by_seed, is_whole_pool, same_seeds
from raycal.report.runs import Group, Runs
from raycal.results import is_at_chance, loss_has_not_fallen

# Optimizer steps of two strategies that differ by more than this factor are said.
MOST_DIFFERENCE = 1.5
LONGER = "train longer (training.steps or training.epochs) or with another training.learning_rate"
# A test split is one-sided if guessing its largest class gets this much more than guessing among equally large classes.
ONE_SIDED = 0.1
ONE_SIDED_ADVICE = (
    "the test split is one-sided: with as many test images of each class guessing would reach up to {:.3f}, so add "
    "test images of the other classes or take some of the largest class away"
)

Lines = Sequence[Mapping[str, Any]]


def recipes(runs: Runs) -> list[str]:
    """How the models of a sweep are trained, in words; several where that was varied."""
    return list(dict.fromkeys(recipe_words(trial.config) for trial in runs.trials))


def caveats(runs: Runs) -> list[str]:
    """A sentence for each; those of other datasets than the only one begin with its name."""
    found = by_dataset(runs)
    return [
        f"{comparison.dataset}: {sentence}" if len(found) > 1 else sentence
        for comparison in found
        for sentence in dict.fromkeys(_caveats(comparison))
    ]


def _caveats(comparison: Comparison) -> Iterator[str]:
    for group in comparison.groups:
        yield from _of_trainings(group)
    for setting in comparison.settings:
        where = f" ({setting.label})" if len(comparison.settings) > 1 and setting.label else ""
        candidates = [group for group in setting.groups.values() if not is_whole_pool(group)]
        if SUPERVISED in setting.groups:
            yield from _of_supervision(setting.groups[SUPERVISED], candidates)
        yield from _of_steps(candidates, where)


def _of_trainings(group: Group) -> Iterator[str]:
    """What the trainings of a group did not teach."""
    lines = [line for trial in group.trials for line in trial.lines]
    guessing = [line for line in lines if is_at_chance(line)]
    if guessing:
        most = max(line["chance_accuracy"] for line in guessing)
        even = max((trial.even_chance for trial in group.trials if trial.even_chance is not None), default=None)
        is_one_sided = even is not None and most - even > ONE_SIDED
        advice = ONE_SIDED_ADVICE.format(even) if is_one_sided else LONGER
        yield (
            f"{group.label}: in {_of(guessing, lines)} the test accuracy cannot be told from guessing, which reaches "
            f"up to {most:.3f} here; {advice}"
        )
    not_fallen = [line for line in lines if loss_has_not_fallen(line)]
    if not_fallen:
        yield f"{group.label}: in {_of(not_fallen, lines)} the training loss has not fallen; {LONGER}"


def _of(some: Lines, lines: Lines) -> str:
    return f"{len(some)} of {len(lines)} iteration{'' if len(lines) == 1 else 's'}"


def _of_supervision(supervised: Group, candidates: Iterable[Group]) -> Iterator[str]:
    """Full supervision that a strategy is better than, at the end and over the same seeds."""
    better: list[tuple[float, float, Group]] = []
    for group in candidates:
        pairs = [
            (by_seed(group)[seed].lines, by_seed(supervised)[seed].lines) for seed in same_seeds([group, supervised])
        ]
        reached, full = (_mean_of_last([pair[at] for pair in pairs], "test_accuracy") for at in (0, 1))
        if reached is not None and full is not None and reached - full > 1e-9:
            better.append((reached, full, group))
    if better:
        reached, full, group = max(better, key=lambda found: found[0])
        yield (
            f"{supervised.label} reaches {full:.3f} and {group.label} {reached:.3f}: full supervision is no upper "
            f"bound here, and targets in % of it are too low; {LONGER}"
        )


def _of_steps(candidates: Sequence[Group], where: str) -> Iterator[str]:
    """Strategies whose last trainings took different numbers of steps."""
    steps = {
        group.label: mean
        for group in candidates
        if (mean := _mean_of_last([trial.lines for trial in group.finished], "optimizer_steps"))
    }
    if not steps:
        return
    fewest, most = min(steps, key=lambda label: steps[label]), max(steps, key=lambda label: steps[label])
    ratio = steps[most] / steps[fewest]
    if ratio > MOST_DIFFERENCE:
        yield (
            f"the optimizer steps of the last training differ {ratio:.1f} times between strategies, from "
            f"{steps[fewest]:,.0f} ({fewest}) to {steps[most]:,.0f} ({most}){where}: longer training may be what tells "
            "them apart; training.stop: steps gives all the same"
        )


def _mean_of_last(runs: Sequence[Lines], key: str) -> float | None:
    """The mean of a figure of the last lines; None where one is not known, as in runs of earlier versions."""
    values = [lines[-1].get(key) if lines else None for lines in runs]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
