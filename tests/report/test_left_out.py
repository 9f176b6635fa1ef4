"""Tests which parts without information the page leaves out, and the sentences that say so."""

from typing import Any

import pandas as pd
import pytest
from made_up import Points, level, runs, seeds, trial
from test_page import html

from raycal.report.cells import readable
from raycal.report.figures.charts import is_nearly_whole
from raycal.report.figures.plates import figure2, plates
from raycal.report.figures.slices import slices
from raycal.report.paper.parity import parity
from raycal.report.runs import Runs
from raycal.report.stats.at_budget import at_budget
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.group_summary import group_summary
from raycal.report.stats.paired import pairwise
from raycal.report.tables import tables


def page(*trials: Any) -> str:
    of = runs(*trials)
    return html(of, tables(of))


class TestIntervals:
    """With two seeds that differ much, Student's t gives an interval that is wider than the range from 0 to 1."""

    WIDE = runs(*seeds("random", *level(0.2, 0.8)), *seeds("cluster-only", *level(0.9, 0.1)))

    def test_those_of_accuracies_end_at_0_and_1(self) -> None:
        (found,) = by_dataset(self.WIDE)
        summary = group_summary(found.groups[0], (10.0, 20.0))
        for one in (summary.aubc, summary.shared_aubc, summary.final_accuracy):
            assert one is not None
            assert (one.mean, one.low, one.high) == (pytest.approx(0.5), 0.0, 1.0)
        table = tables(self.WIDE)["summary"]
        assert table["AUBC low"].tolist() == table["final accuracy low"].tolist() == [0.0, 0.0]
        assert table["AUBC high"].tolist() == table["final accuracy high"].tolist() == [1.0, 1.0]

    def test_those_of_differences_end_at_minus_1_and_1(self) -> None:
        (pair,) = pairwise(by_dataset(self.WIDE)[0], "accuracy")
        assert pair.test.difference is not None
        assert (pair.test.difference.low, pair.test.difference.high) == (-1.0, 1.0)

    def test_narrow_ones_are_as_they_were(self) -> None:
        (found,) = by_dataset(runs(*seeds("random", *level(0.5, 0.52))))
        final = group_summary(found.groups[0], None).final_accuracy
        assert final is not None
        assert (final.low, final.high) == (pytest.approx(0.51 - 0.12706, abs=1e-4), pytest.approx(0.63706, abs=1e-4))

    def test_those_of_margins_end_at_minus_1_and_1(self) -> None:
        wide = runs(*seeds("random", *level(0.2, 0.8)), *seeds("cluster-only", *level(0.95, 0.1)))
        (found,) = by_dataset(wide)
        ranked = at_budget(found)
        assert ranked is not None
        (margin,) = ranked.margins
        assert (margin.difference.low, margin.difference.high) == (-1.0, 1.0)


class TestPenaltyMatrix:
    """The penalty matrix is shown only if a scenario beats another one."""

    def test_two_scenarios_with_too_few_seeds_give_a_sentence(self) -> None:
        text = page(*seeds("random", *level(0.5)), *seeds("cluster-only", *level(0.6)))

        assert "pairwise penalty matrix" not in text
        assert "is left out: it needs two scenarios with two finished seeds in common." in text

    def test_matrix_without_a_win_is_a_sentence(self) -> None:
        text = page(*seeds("random", *level(0.5, 0.6)), *seeds("cluster-only", *level(0.6, 0.5)))

        assert "pairwise penalty matrix" not in text
        assert "The matrix of who beats whom is left out: no scenario beats another one at any budget." in text

    def test_matrix_with_a_win_has_a_column_for_every_scenario(self) -> None:
        text = page(*seeds("random", *level(0.1, 0.11, 0.12)), *seeds("cluster-only", *level(0.8, 0.9, 0.85)))

        table = text[text.index("pairwise penalty matrix") :].partition("</table>")[0]
        heads = [part.partition("</button>")[0] for part in table.split('<button type="button">')[1:]]
        assert heads == ["beats", "settings", "random", "cluster-only"]
        assert "is left out" not in text

    def test_of_several_datasets_the_one_without_a_win_is_named(self) -> None:
        other: dict[str, Any] = {"dataset": {"name": "digits", "train_size": 90}}
        text = page(
            *seeds("random", *level(0.1, 0.11, 0.12)),
            *seeds("cluster-only", *level(0.8, 0.9, 0.85)),
            *seeds("random", *level(0.5, 0.6), **other),
            *seeds("cluster-only", *level(0.6, 0.5), **other),
        )

        assert "pairwise penalty matrix" in text
        assert "The matrix of who beats whom on digits (train_size=90) is left out" in text


def test_claims_that_cannot_be_tested_are_one_sentence_and_stay_in_the_file() -> None:
    of = runs(*seeds("random", *level(0.5, 0.6)), *seeds("cluster-only", *level(0.6, 0.5)))
    text, claims = html(of, tables(of)), parity(by_dataset(of)[0])
    untested = [finding for finding in claims if finding.verdict == "not tested"]

    assert len([finding for finding in untested if finding.claim.dataset not in (None, "digits")]) == 4
    assert f"{len(untested)} claims of the paper are not in the table because these runs cannot test them: " in text
    assert "4 about other datasets" in text
    assert "not digits" not in text
    assert tables(of)["parity"]["reason"].tolist().count("about cifar10, not digits") > 0
    part = text[text.index('<details id="parity">') :].partition("</details>")[0]
    assert part.count("<tr>") == (1 + len(claims) - len(untested) if len(claims) > len(untested) else 0)


def panels(first: Points, second: Points) -> list[int]:
    """The number of panels in each row of figure 2."""
    plate = figure2("digits", slices(runs(*seeds("random", first), *seeds("cluster-only", second))))
    assert plate is not None
    return [len(row) for row in plate.rows]


def test_part_that_is_nearly_the_whole_range_is_left_out() -> None:
    whole = panels([(10, 0.3), (20, 0.4)], [(10, 0.35), (20, 0.3)])
    part = panels([(10, 0.1), (50, 0.8), (100, 0.85)], [(10, 0.1), (50, 0.85), (100, 0.9)])

    assert (whole, part) == ([1], [2])


def test_caption_promises_a_part_only_where_there_is_one() -> None:
    def caption(of: Runs) -> str:
        return next(plate.caption for plate in plates(of) if plate.kind == "figure2")

    near = runs(*seeds("random", [(10, 0.3), (20, 0.4)]), *seeds("cluster-only", [(10, 0.35), (20, 0.3)]))
    far = runs(*seeds("random", [(10, 0.1), (50, 0.8), (100, 0.85)]))
    assert "zoomed to where the scenarios differ" not in caption(near)
    assert "zoomed to where the scenarios differ" in caption(far)
    chart = figure2("digits", slices(far)).rows[0]  # type: ignore[union-attr]
    assert [is_nearly_whole(one, chart[0]) for one in chart] == [True, False]


def test_a_measured_zero_is_shown_and_a_counted_one_is_not() -> None:
    frame = pd.DataFrame({"label error": [0.0, 0.0], "failed": [0, 0]}, dtype=object)
    assert readable(frame) == {"label error": ["0", "0"]}


def test_every_table_can_be_scrolled_and_says_so() -> None:
    text = page(*seeds("random", *level(0.5, 0.6)), *seeds("cluster-only", *level(0.6, 0.5)))

    heads = text.count("<thead>")
    assert heads >= 4
    assert text.count("The table is wider than the page: scroll it sideways") == heads
    assert text.count('<div class="scroll" tabindex="0" role="region"') == heads


def test_page_explains_intervals_and_seeds_only_where_something_is_ranked() -> None:
    explained = "Intervals are 95 % confidence intervals by Student's t. They are calculated seed by seed"

    assert explained in page(*seeds("random", *level(0.5, 0.6)))
    text = page(trial("random", status="unfinished"))
    assert "No trial has finished, so there is no answer yet." in text
    assert explained not in text
