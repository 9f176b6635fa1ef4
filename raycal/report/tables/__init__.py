"""Builds the tables of a report from the runs of a sweep. Each table has all its columns even if it has no rows."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from raycal.report.runs import Runs
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.tables.contrasts import pairwise_table, parity_table, penalty_table
from raycal.report.tables.groups import sensitivity_table, summary_table
from raycal.report.tables.targets import break_even_table, recommendation_table, target_table
from raycal.report.tables.trials import failure_table

# In the order of the report.
TABLES: Mapping[str, Callable[[Sequence[Comparison]], pd.DataFrame]] = {
    "recommendation": recommendation_table,
    "summary": summary_table,
    "targets": target_table,
    "break_even": break_even_table,
    "pairwise": pairwise_table,
    "penalty": penalty_table,
    "sensitivity": sensitivity_table,
    "parity": parity_table,
    "failures": failure_table,
}


def tables(runs: Runs) -> dict[str, pd.DataFrame]:
    """All tables by name, in the order of the report."""
    comparisons = by_dataset(runs)
    return {name: table(comparisons) for name, table in TABLES.items()}
