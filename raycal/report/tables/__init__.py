"""Builds the tables of a report from the runs of a sweep. Each table has all its columns even if it has no rows."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from raycal.report.runs import Runs
from raycal.report.stats.answer import Answer, answers_of
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.tables.contrasts import pairwise_table, parity_table, penalty_table
from raycal.report.tables.groups import sensitivity_table, summary_table
from raycal.report.tables.targets import break_even_table, recommendation_table, target_table
from raycal.report.tables.trials import failure_table

# The functions that build the tables, in the order of the report. The recommendation comes before these tables.
TABLES: Mapping[str, Callable[[Sequence[Comparison]], pd.DataFrame]] = {
    "summary": summary_table,
    "targets": target_table,
    "break_even": break_even_table,
    "pairwise": pairwise_table,
    "penalty": penalty_table,
    "sensitivity": sensitivity_table,
    "parity": parity_table,
    "failures": failure_table,
}


def tables(runs: Runs, answers: Sequence[Answer] | None = None) -> dict[str, pd.DataFrame]:
    """All tables by name, in the order of the report.

    Args:
        runs: The trials.
        answers: The answer for each dataset. None means that it is computed from the runs.
    """
    comparisons = by_dataset(runs)
    recommendation = recommendation_table(answers_of(comparisons) if answers is None else answers)
    return {"recommendation": recommendation} | {name: table(comparisons) for name, table in TABLES.items()}
