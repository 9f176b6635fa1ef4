"""The pairwise penalty matrix: how often one scenario beats another over all settings and budgets of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raycal.report.stats.comparison import Comparison, ConditionGroup, by_seed, is_whole_pool, same_seeds
from raycal.report.stats.curves import Curve, curve_of, shared_range
from raycal.report.stats.paired import ALPHA, paired_test


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyMatrix:
    """How often the scenario of a row beats the scenario of a column.

    Attributes:
        scenarios: The scenarios of rows and columns, in the order of the plan.
        wins: (row, column) wins, from 0 to the number of settings in which the two scenarios were compared. None on the
            diagonal, and if there is no such setting.
        column_means: The penalty of each scenario (lower is better): the mean of its column over the rows that it was
            compared with; None if there is no such row.
        compared: (row, column) number of settings in which the two were compared.
        seeds: The smallest and the largest number of seeds in a comparison; None if no comparison was made.
    """

    scenarios: tuple[str, ...]
    wins: tuple[tuple[float | None, ...], ...]
    column_means: tuple[float | None, ...]
    compared: tuple[tuple[int, ...], ...]
    seeds: tuple[int, int] | None


def penalty_matrix(comparison: Comparison) -> PenaltyMatrix:
    """The pairwise penalty matrix of Ash et al. (BADGE, ICLR 2020, section 4) over the scenarios of a dataset.

    Two scenarios are compared in every setting, where a setting fixes everything except scenario and seed. The budgets
    are the numbers of interactions that at least one paired trial measured and all paired trials cover. At each budget,
    a two-sided paired t-test compares the accuracies of the seeds that both scenarios finished. If p < 0.05, the
    scenario with the larger mean beats the other, and 1 / (number of budgets) is added to its row in the other's
    column. A setting therefore adds at most 1 to a cell.

    Ash et al. space their budgets exponentially and stop when all strategies have 99 % of the accuracy of full
    supervision; here every measured budget counts. Pairs with fewer than two seeds in common are not compared. The
    p-values are not corrected.
    """
    names = tuple(dict.fromkeys(group.scenario for group in comparison.candidates))
    wins, compared = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)), np.int64)
    seeds: list[int] = []
    for condition in comparison.condition_groups:
        for row, column in zip(*np.triu_indices(len(names), 1), strict=True):
            pair = _curves(condition, names[row], names[column])
            if pair is None:
                continue
            first, second = pair
            seeds.append(len(first))
            compared[row, column] += 1
            compared[column, row] += 1
            won, lost = _wins(first, second)
            wins[row, column] += won
            wins[column, row] += lost
    means = (wins[compared[:, column] > 0, column] for column in range(len(names)))
    return PenaltyMatrix(
        scenarios=names,
        wins=tuple(
            tuple(float(win) if count else None for win, count in zip(*cells, strict=True))
            for cells in zip(wins, compared, strict=True)
        ),
        column_means=tuple(float(column.mean()) if len(column) else None for column in means),
        compared=tuple(tuple(int(count) for count in counts) for counts in compared),
        seeds=(min(seeds), max(seeds)) if seeds else None,
    )


def _curves(condition: ConditionGroup, *names: str) -> tuple[Sequence[Curve], Sequence[Curve]] | None:
    """The curves of two scenarios in the seeds that both finished.

    The result is None if there are fewer than two such seeds, or if their curves share no interactions.
    """
    groups = [condition.groups[name] for name in names if name in condition.groups]
    if len(groups) < 2 or any(is_whole_pool(group) for group in groups):
        return None
    curve_pairs = [[curve_of(by_seed(group)[seed].lines) for group in groups] for seed in same_seeds(groups)]
    pairs = [(first, second) for first, second in curve_pairs if first and second]
    if len(pairs) < 2 or shared_range([curve for pair in pairs for curve in pair]) is None:
        return None
    return [first for first, _ in pairs], [second for _, second in pairs]


def _wins(first: Sequence[Curve], second: Sequence[Curve]) -> tuple[float, float]:
    """The share of budgets at which the first scenario beats the second, and the share at which the second beats the
    first."""
    shared = shared_range([*first, *second])
    assert shared is not None
    measured = np.unique(np.concatenate([curve.interactions for curve in (*first, *second)]))
    budgets = measured[(measured >= shared[0]) & (measured <= shared[1])]
    signs = [_winner(first, second, float(budget)) for budget in budgets]
    return signs.count(1) / len(signs), signs.count(-1) / len(signs)


def _winner(first: Sequence[Curve], second: Sequence[Curve], budget: float) -> int:
    """The winner at this budget: 1 means the first scenario, -1 the second, and 0 that there is no significant
    difference."""
    test = paired_test(
        *([float(np.interp(budget, curve.interactions, curve.values)) for curve in side] for side in (first, second))
    )
    if test.t_p is None or test.t_p >= ALPHA or test.difference is None:
        return 0
    return 1 if test.difference.mean > 0 else -1
