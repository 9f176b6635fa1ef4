import csv
import io

import pandas as pd

from raycal.report.table_text import to_csv, to_latex


def test_csv_is_read_back() -> None:
    table = pd.DataFrame([["a, b", 0.1 + 0.2, None, 3]], columns=["text", "x", "none", "n"], dtype=object)
    assert to_csv(table) == 'text,x,none,n\n"a, b",0.3,,3\n'
    assert list(csv.reader(io.StringIO(to_csv(table))))[1] == ["a, b", "0.3", "", "3"]


def test_latex_is_escaped() -> None:
    table = pd.DataFrame([["a_b & 50 %\n{x}", 1234.5, None]], columns=["te_xt", "x", "none"], dtype=object)
    assert to_latex(table).splitlines() == [
        r"\begin{tabular}{lrl}",
        r"\toprule",
        r"te\_xt & x & none \\",
        r"\midrule",
        r"a\_b \& 50 \% \{x\} & 1,234 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
