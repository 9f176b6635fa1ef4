import pytest
from small_runs import line, runs, supervised, trial

from raycal.report.figures.charts import Chart, Level, Series, aligned, series_of, series_so_far, supervised_level, zoom
from raycal.report.stats.curves import Axis


def series(*mean: float, std: tuple[float, ...] = ()) -> Series:
    x = tuple(100.0 * (at + 1) for at in range(len(mean)))
    return Series(scenario="random", label="random", x=x, mean=mean, std=std, counts=(1,) * len(mean))


def chart(*drawn: Series, levels: tuple[Level, ...] = ()) -> Chart:
    return Chart(title="", x_label="x", y_label="y", series=drawn, levels=levels)


def test_curve_is_the_mean_over_the_finished_seeds() -> None:
    (group,) = runs(
        trial("random", 0, [0.4, 0.6]),
        trial("random", 1, [0.5, 0.8]),
        trial("random", 2, [0.9, 0.9], status="stopped"),
    ).groups
    found = series_of(group.finished, group.scenario, "random", x="interactions", y="test_accuracy")

    assert found is not None
    assert (found.x, found.counts) == ((100, 200), (2, 2))
    assert found.mean == pytest.approx((0.45, 0.7))
    assert found.std == pytest.approx((0.0707107, 0.1414214), abs=1e-6)


def test_curve_so_far_does_not_end_where_the_slowest_seed_is() -> None:
    (group,) = runs(trial("random", 0, [0.4, 0.6, 0.9]), trial("random", 1, [0.5]), trial("random", 2)).groups
    found = series_so_far(group.trials, "random", "random", x="interactions", y="test_accuracy", y_scale=2)

    assert found is not None
    assert (found.x, found.counts) == ((100, 200, 300), (2, 1, 1))
    assert found.mean == pytest.approx((0.9, 1.2, 1.8))
    assert found.std == pytest.approx((0.1414214, 0, 0), abs=1e-6)


@pytest.mark.parametrize("x", ["interactions", "iteration", "annotated", "human_hours"])
def test_curve_so_far_of_finished_seeds_is_their_curve(x: Axis) -> None:
    (group,) = runs(trial("random", 0, [0.4, 0.6, 0.7]), trial("random", 1, [0.5, 0.8, 0.7])).groups
    usual, found = (
        average(group.trials, "random", "random", x=x, y="test_accuracy") for average in (series_of, series_so_far)
    )
    assert usual is not None
    assert found is not None
    assert found.mean == pytest.approx(usual.mean)
    assert found.std == pytest.approx(usual.std)
    assert (found.x, found.counts, found.is_band) == (pytest.approx(usual.x), usual.counts, usual.is_band)


def test_curve_so_far_of_one_seed_has_no_deviation() -> None:
    (group,) = runs(trial("random", 0, [0.4])).groups
    found = series_so_far(group.trials, "random", "random", x="interactions", y="test_accuracy")
    assert found is not None
    assert (found.x, found.mean, found.std) == ((100,), (0.4,), ())
    assert series_so_far(group.trials, "random", "random", x="iteration", y="mean_cluster_purity") is None


def test_undefined_values_are_left_out() -> None:
    lines = [line(0, 0.5), line(1, 0.6, cluster_label_error=0.2), line(2, 0.7, cluster_label_error=0.1)]
    (group,) = runs(trial("cluster-only", 0, lines=lines)).groups
    found = series_of(group.finished, group.scenario, "c", x="iteration", y="cluster_label_error", y_scale=100)

    assert found is not None
    assert (found.x, found.mean, found.std) == ((1, 2), pytest.approx((20, 10)), ())
    assert series_of(group.finished, group.scenario, "c", x="iteration", y="mean_cluster_purity") is None


def test_curve_goes_back_where_annotated_images_fall() -> None:
    seeds = [[410, 380], [430, 400]]
    (group,) = runs(
        *(
            trial("cluster-only", seed, lines=[line(at, 0.5 + at / 10, annotated=n) for at, n in enumerate(annotated)])
            for seed, annotated in enumerate(seeds)
        )
    ).groups
    found = series_of(group.finished, group.scenario, "c", x="annotated", y="test_accuracy")

    assert found is not None
    assert (found.x, found.mean) == ((420, 390), pytest.approx((0.5, 0.6)))
    assert not found.is_band


def test_full_supervision_is_a_level() -> None:
    (level,) = supervised_level([supervised(0, 0.94), supervised(1, 0.96)])

    assert (level.mean, level.std, level.count) == (pytest.approx(0.95), pytest.approx(0.0141421, abs=1e-6), 2)
    assert supervised_level([]) == ()
    assert supervised_level([supervised(0, 0.94)])[0].std == 0


class TestZoom:
    def test_shows_every_end_and_begins_where_the_best_curve_passes_the_worst_end(self) -> None:
        found = zoom(chart(series(0.4, 0.8, 0.9), series(0.3, 0.5, 0.7)))

        assert found.y_range == pytest.approx((0.688, 0.912))
        assert found.x_range == pytest.approx((100 + 100 * 0.288 / 0.4 - 0.04 * 128, 300 + 0.04 * 128))

    @pytest.mark.parametrize(("accuracy", "top"), [(0.95, 0.965), (0.9999, 0.912)])
    def test_shows_full_supervision_only_when_it_is_near(self, accuracy: float, top: float) -> None:
        level = Level(scenario="supervised", mean=accuracy, std=0, count=1)
        curves = (series(0.4, 0.8, 0.9), series(0.3, 0.5, 0.7)) if top > 0.92 else (series(0.4, 0.89, 0.9),)

        y_range = zoom(chart(*curves, levels=(level,))).y_range

        assert y_range is not None
        assert (y_range[1] > accuracy) == (top > 0.92)

    def test_of_a_single_point_is_the_whole(self) -> None:
        single = chart(series(0.5))
        assert zoom(single) == single


def test_rows_have_the_same_ranges() -> None:
    rows = aligned([(chart(series(0.2, 0.4)),), (chart(series(0.3, 0.6)),)])

    assert [row[0].y_range for row in rows] == [pytest.approx((0.19, 0.615))] * 2
    assert aligned([(chart(series(0.2)),)])[0][0].y_range is None
