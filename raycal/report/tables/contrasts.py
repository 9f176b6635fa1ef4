"""Tables that compare scenarios with each other, and the runs with the paper's claims."""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.report.paper.parity import Finding, parity
from raycal.report.stats.comparison import Comparison
from raycal.report.stats.paired import METRICS, Pair, pairwise
from raycal.report.stats.penalty import PenaltyMatrix, penalty_matrix
from raycal.report.tables.frame import Row, frame, interval

_PAIRWISE = (
    "dataset",
    "metric",
    "first",
    "second",
    "seeds",
    "from interactions",
    "to interactions",
    "first mean",
    "second mean",
    *("difference", "difference low", "difference high"),
    "Cohen's dz",
    "p (t)",
    "p (t, Holm)",
    "p (Wilcoxon)",
    "p (Wilcoxon, Holm)",
    "note",
)


def pairwise_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The paired tests of every pair of groups, in each metric."""
    return frame(
        _PAIRWISE,
        (
            _pair_row(comparison.dataset, pair)
            for comparison in comparisons
            for metric in METRICS
            for pair in pairwise(comparison, metric)
        ),
    )


def _pair_row(dataset: str, pair: Pair) -> Row:
    return (
        dataset,
        pair.metric,
        pair.first.label,
        pair.second.label,
        len(pair.seeds),
        *(pair.budget or (None, None)),
        pair.first_mean,
        pair.second_mean,
        *interval(pair.test.difference),
        pair.test.cohens_dz,
        pair.test.t_p,
        pair.t_p_holm,
        pair.test.wilcoxon_p,
        pair.wilcoxon_p_holm,
        pair.test.note,
    )


_PENALTY = ("dataset", "beats", "settings")


def penalty_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The penalty matrix of each dataset, with a column for each scenario of the sweep."""
    matrices = [(comparison.dataset, penalty_matrix(comparison)) for comparison in comparisons]
    scenarios = tuple(dict.fromkeys(name for _, matrix in matrices for name in matrix.scenarios))
    return frame((*_PENALTY, *scenarios), (row for pair in matrices for row in _penalty_rows(*pair, scenarios)))


def _penalty_rows(dataset: str, matrix: PenaltyMatrix, scenarios: Sequence[str]) -> Iterator[Row]:
    """Yield a row per scenario, then the column means. Yield nothing if no two scenarios have two seeds in common."""
    if matrix.seeds is None:
        return
    rows = [*zip(matrix.scenarios, matrix.compared, matrix.wins, strict=True)]
    for name, compared, wins in [*rows, ("column mean", (), matrix.column_means)]:
        cells = dict(zip(matrix.scenarios, wins, strict=True))
        yield (dataset, name, max(compared, default=None), *(cells.get(scenario) for scenario in scenarios))


_PARITY = (
    "dataset",
    "setting",
    "claim",
    "the paper's claim in our words",
    "section",
    "verdict",
    "reason",
    "compared",
    "decided by",
    *("measured", "measured low", "measured high"),
    "seeds",
    "rule",
)


def parity_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The verdict on each claim of the paper."""
    return frame(_PARITY, (_parity_row(finding) for comparison in comparisons for finding in parity(comparison)))


def _parity_row(finding: Finding) -> Row:
    claim = finding.claim
    return (
        finding.dataset,
        finding.setting,
        claim.id,
        claim.words,
        claim.section,
        finding.verdict,
        finding.reason,
        claim.compared,
        finding.what,
        *interval(finding.measured),
        finding.measured.n if finding.measured else 0,
        claim.rule,
    )
