"""Warnings that a sweep's comparisons are doubtful: models that learned nothing, or trainings of unequal length."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from raycal.config.labels import recipe_words
from raycal.report.runs import Group, Runs
from raycal.report.stats.comparison import (
    SUPERVISED,
    Comparison,
    ConditionGroup,
    by_dataset,
    by_seed,
    is_whole_pool,
    same_seeds,
)
from raycal.report.stats.guessing import LONGER, advice
from raycal.storage.results import IterationRecord, is_at_chance, loss_has_not_fallen

# A sweep gets a warning if the numbers of optimizer steps of two strategies differ by more than this factor.
MOST_DIFFERENCE = 1.5

Lines = Sequence[IterationRecord]


def recipes(runs: Runs) -> list[str]:
    """Descriptions of how the models of a sweep are trained: several if the sweep varies the training."""
    return list(dict.fromkeys(recipe_words(trial.config) for trial in runs.trials))


def caveats(runs: Runs) -> list[str]:
    """One sentence per caveat. In a sweep over several datasets, each sentence begins with the dataset's name."""
    comparisons = by_dataset(runs)
    return [
        f"{comparison.dataset}: {sentence}" if len(comparisons) > 1 else sentence
        for comparison in comparisons
        for sentence in dict.fromkeys(_caveats(comparison))
    ]


def _caveats(comparison: Comparison) -> Iterator[str]:
    yield from _of_trainings(comparison.groups)
    supervised: dict[str, tuple[Group, dict[str, Group]]] = {}
    for condition in comparison.condition_groups:
        candidates = {group.label: group for group in condition.groups.values() if not is_whole_pool(group)}
        if (bound := condition.groups.get(SUPERVISED)) is not None:
            supervised.setdefault(bound.label, (bound, {}))[1].update(candidates)
    for bound, others in supervised.values():
        yield from _of_supervision(bound, others.values())
    yield from _of_steps(comparison.condition_groups)


def _of_trainings(groups: Sequence[Group]) -> Iterator[str]:
    """Report accuracies at chance level and losses that did not fall, each in one sentence for all affected groups."""
    lines = [(group.label, [line for trial in group.trials for line in trial.lines]) for group in groups]
    levels = [line.get("chance_accuracy") or 0.0 for _, records in lines for line in records if is_at_chance(line)]
    if levels:
        where, most = _iterations(lines, is_at_chance), max(levels)
        evens = [trial.even_chance for group in groups for trial in group.trials if trial.even_chance is not None]
        yield (
            f"the test accuracy is no better than guessing, which reaches up to {most:.3f} here, in {where}; "
            f"{advice(most, max(evens, default=None))}"
        )
    if where := _iterations(lines, loss_has_not_fallen):
        yield f"the training loss has not fallen in {where}; {LONGER}"


def _iterations(lines: Iterable[tuple[str, Lines]], is_faulty: Callable[[IterationRecord], bool]) -> str:
    """Count the faulty iterations per group, as in `4 of 4 iterations of each of random, bald and 1 of 4 of badge`."""
    labels: dict[tuple[int, int], list[str]] = {}
    for label, records in lines:
        if faulty := sum(map(is_faulty, records)):
            labels.setdefault((faulty, len(records)), []).append(label)
    words: list[str] = []
    for (faulty, total), names in labels.items():
        noun = "" if words else " iteration" if total == 1 else " iterations"
        each = "each of " if len(names) > 1 else ""
        words.append(f"{faulty} of {total}{noun} of {each}{', '.join(names)}")
    return " and ".join(words)


def _of_supervision(supervised: Group, candidates: Iterable[Group]) -> Iterator[str]:
    """Report a strategy whose final accuracy, averaged over the shared seeds, exceeds the final accuracy of full
    supervision."""
    better: list[tuple[float, float, Group]] = []
    for group in candidates:
        pairs = [
            (by_seed(group)[seed].lines, by_seed(supervised)[seed].lines) for seed in same_seeds([group, supervised])
        ]
        reached, full = (_mean_of_last([pair[at] for pair in pairs], "test_accuracy") for at in (0, 1))
        if reached is not None and full is not None and reached - full > 1e-9:
            better.append((reached, full, group))
    if better:
        reached, full, group = max(better, key=lambda triple: triple[0])
        yield (
            f"{supervised.label} reaches {full:.3f} and {group.label} {reached:.3f}: full supervision is not an "
            f"upper bound here, so targets in percent of it are too low; {LONGER}"
        )


def _of_steps(conditions: Sequence[ConditionGroup]) -> Iterator[str]:
    """Report strategies of one condition group whose last trainings took different numbers of optimizer steps.

    If several condition groups have such strategies, the sentence names the one with the largest ratio.
    """
    differences: list[tuple[float, str]] = []
    for condition in conditions:
        steps = {
            group.label: mean
            for group in condition.groups.values()
            if not is_whole_pool(group)
            and (mean := _mean_of_last([trial.lines for trial in group.finished], "optimizer_steps"))
        }
        if not steps:
            continue
        fewest, most = min(steps, key=lambda label: steps[label]), max(steps, key=lambda label: steps[label])
        ratio = steps[most] / steps[fewest]
        if ratio > MOST_DIFFERENCE:
            is_said = len(conditions) == 1 or condition.label in fewest or condition.label in most
            where = "" if is_said or not condition.label else f" ({condition.label})"
            ends = f"from {steps[fewest]:,.0f} ({fewest}) to {steps[most]:,.0f} ({most}){where}"
            differences.append((ratio, f"differ by a factor of {ratio:.1f} between strategies, {ends}"))
    if differences:
        worst = max(differences, key=lambda one: one[0])[1]
        others = len(differences) - 1
        more = f", and by less in {others} other setting{'' if others == 1 else 's'}" if others else ""
        yield (
            f"the optimizer steps of the last training {worst}{more}: the strategies may differ because "
            "of longer training; with training.stop: steps, all of them train equally long"
        )


def _mean_of_last(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> float | None:
    """The mean of a value over the last results of the runs.

    None if any run lacks the value, which is the case for runs of earlier raycal versions.
    """
    values = [lines[-1].get(key) if lines else None for lines in runs]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
