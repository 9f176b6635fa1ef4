from collections.abc import Sequence
from typing import Any

import pytest
from made_up import runs, seeds, trial

from raycal.report.figures.break_even_chart import saving_charts
from raycal.report.runs import Trial
from raycal.report.stats.break_even import BreakEven, break_even
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.tables import tables

SUPERVISED = seeds("supervised", [(800, 1.0)])


def mixed(seed: int, *points: tuple[float, float], shown: Sequence[int]) -> Trial:
    return trial("uncertain+cluster", points, seed=seed, values={"clusters_shown": shown})


# This trial reaches 0.9 at 150 interactions: 70 images and 80 clusters.
CLUSTERS = mixed(0, (100, 0.8), (200, 1.0), shown=[60, 40])
# `random` reaches 0.9 at 800 interactions, and `uncertain-only` at 500.
RANDOM = seeds("random", [(100, 0.2), (900, 1.0)], [(100, 0.2), (900, 1.0)])
UNCERTAIN = seeds("uncertain-only", [(100, 0.5), (500, 0.9), (600, 1.0)], [(100, 0.5), (500, 0.9), (600, 1.0)])


def compared(*trials: Trial) -> Comparison:
    (comparison,) = by_dataset(runs(*trials, *SUPERVISED))
    return comparison


def at_90(*trials: Trial) -> list[BreakEven]:
    return [found for found in break_even(compared(*trials)) if found.target == "90 % of full supervision"]


def costs(found: Sequence[BreakEven]) -> list[tuple[str, Any]]:
    return [(one.against.scenario, one.cost.mean if one.cost else None) for one in found]


def test_cost_is_what_makes_both_spend_the_same() -> None:
    found = at_90(CLUSTERS, RANDOM[0], UNCERTAIN[0])

    assert costs(found) == [
        ("uncertain-only", pytest.approx((500 - 70) / 80)),
        ("random", pytest.approx((800 - 70) / 80)),
    ]
    (spent,) = found[0].by_seed
    assert (spent.samples, spent.clusters, spent.other) == pytest.approx((70, 80, 500))
    assert spent.saving(1) == pytest.approx(100 * (1 - 150 / 500))
    assert spent.saving(spent.cost) == pytest.approx(0)


def test_at_the_first_measured_point_all_of_it_counts() -> None:
    (found,) = at_90(mixed(0, (100, 0.95), shown=[60]), RANDOM[0])

    assert costs([found]) == [("random", pytest.approx((800 - 40) / 60))]
    assert found.at_first


def test_several_seeds_have_an_interval() -> None:
    # This trial reaches 0.9 with 150 clusters and no images.
    second = mixed(1, (100, 0.8), (200, 1.0), shown=[100, 100])
    (found,) = at_90(CLUSTERS, second, *RANDOM)

    assert found.cost is not None
    first, other = (800 - 70) / 80, 800 / 150
    assert found.cost.mean == pytest.approx((first + other) / 2)
    half = 12.706205 * abs(first - other) / 2  # 12.706205 is the 0.975 quantile of t with one degree of freedom.
    assert (found.cost.low, found.cost.high) == pytest.approx((found.cost.mean - half, found.cost.mean + half))


def test_seed_that_is_not_reached_leaves_no_interval() -> None:
    never = mixed(1, (100, 0.1), (200, 0.2), shown=[50, 50])
    (found,) = at_90(CLUSTERS, never, *RANDOM)

    assert (len(found.by_seed), found.of, found.is_bound) == (1, 2, False)
    assert found.cost is not None
    assert found.cost.low is None
    assert costs(at_90(never, RANDOM[1])) == [("random", None)]


def test_other_that_never_gets_there_gives_a_lower_bound() -> None:
    (found,) = at_90(CLUSTERS, *seeds("random", [(100, 0.2), (400, 0.3)]))

    assert costs([found]) == [("random", pytest.approx((400 - 70) / 80))]
    assert found.is_bound


def test_best_of_those_that_never_get_there_ends_best() -> None:
    low, high = seeds("random", [(100, 0.2), (400, 0.3)]), seeds("uncertain-only", [(100, 0.2), (400, 0.4)])

    assert [one.against.scenario for one in at_90(CLUSTERS, *low, *high)] == ["uncertain-only", "random"]


def test_clusters_that_save_nothing_even_for_nothing_have_a_cost_below_zero() -> None:
    (found,) = at_90(CLUSTERS, *seeds("random", [(10, 0.2), (50, 0.9)]))

    assert costs([found]) == [("random", pytest.approx((50 - 70) / 80))]


def test_without_clusters_or_without_single_images_there_is_nothing_to_compare() -> None:
    assert at_90(*RANDOM, *UNCERTAIN) == []
    assert at_90(CLUSTERS) == []


def test_table_says_all_of_it() -> None:
    table = tables(runs(CLUSTERS, RANDOM[0], UNCERTAIN[0], *SUPERVISED))["break_even"]
    rows = [tuple(row) for row in table.itertuples(index=False)]

    assert rows[0] == (
        *("digits", "90 % of full supervision", 0.9, "uncertain+cluster", "uncertain-only"),
        *(pytest.approx(70), pytest.approx(80), pytest.approx(500), pytest.approx(5.375), None, None),
        *("1 of 1", "one seed: no interval"),
    )
    assert len(rows) == 3 * 2
    bound = tables(runs(CLUSTERS, *seeds("random", [(5, 0.99)]), *SUPERVISED))["break_even"]
    assert bound["note"][0] == (
        "one seed: no interval; reached at the first measured point: a bound; "
        "nothing saved even if clusters cost nothing"
    )


def test_chart_crosses_zero_at_the_break_even() -> None:
    charts = saving_charts(compared(CLUSTERS, RANDOM[0], UNCERTAIN[0]))

    assert [chart.title for chart in charts] == [f"{percent} % of full supervision" for percent in (90, 95, 99)]
    (series,) = charts[0].series
    assert (series.x[0], series.x[-1]) == (0, pytest.approx(1.2 * 5.375))
    assert series.mean[0] == pytest.approx(100 * (1 - 70 / 500))
    # The axis has 12 steps up to 1.2 times the break-even, so step 10 is the break-even.
    assert series.mean[10] == pytest.approx(0, abs=1e-9)
    assert [(one.scenario, one.mean) for one in charts[0].levels] == [("uncertain-only", 0)]
    assert saving_charts(compared(*RANDOM)) == ()
