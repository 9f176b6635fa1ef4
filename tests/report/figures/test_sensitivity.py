import pytest
from small_runs import runs, supervised, threshold, trial

from raycal.report.figures.charts import Plate
from raycal.report.figures.plates import plates
from raycal.report.runs import Runs


def named(of: Runs) -> dict[str, Plate]:
    return {plate.name: plate for plate in plates(of)}


def test_points_are_means_over_all_trials_with_the_value() -> None:
    values = {(0.7, 0): 0.5, (0.7, 1): 0.7, (0.9, 0): 0.8}
    made = [
        trial("cluster-only", seed, [0.2, final], settings=threshold(value)) for (value, seed), final in values.items()
    ]
    found = named(runs(*made, trial("random", 0, [0.3, 0.5]), supervised(0, 0.9)))
    area, final = found["sensitivity_expert.purity_threshold_cifar10"].rows[0]

    assert area.series[0].mean == pytest.approx((0.4, 0.5))
    assert final.series[0].x == (0.7, 0.9)
    assert final.series[0].mean == pytest.approx((0.6, 0.8))
    assert final.series[0].std == pytest.approx((0.1414214, 0), abs=1e-6)
    assert final.series[0].counts == (2, 1)
    assert final.ticks == (0.7, 0.9)
    assert [(one.scenario, one.mean) for one in area.levels] == [("random", pytest.approx(0.4))]
    assert {one.scenario: one.mean for one in final.levels} == {"supervised": 0.9, "random": 0.5}


def test_clusters_that_were_not_counted_are_as_many_as_the_step_may_show() -> None:
    counts = [None, 25, 400]
    made = [
        trial("uncertain+cluster", 0, [0.5], settings={"clustering": {"name": "kmeans", "num_clusters": count}})
        for count in counts
    ]
    chart = named(runs(*made))["sensitivity_clustering.num_clusters_cifar10"].rows[0][0]

    assert chart.series[0].x == (25, 50, 400)
    assert chart.is_log


def test_many_values_are_left_as_points() -> None:
    rates = [0.001 * at for at in range(1, 11)]
    made = [trial("random", 0, [0.5], settings={"training": {"learning_rate": rate}}) for rate in rates]
    chart = named(runs(*made))["sensitivity_training.learning_rate_cifar10"].rows[0][0]

    assert (len(chart.series[0].x), chart.series[0].is_joined, chart.ticks) == (10, False, ())


def test_settings_without_numbers_have_no_figure() -> None:
    made = [trial("uncertain-only", 0, [0.5], settings={"ask_with": ask}) for ask in ("previous", "initial")]
    assert not any(name.startswith("sensitivity") for name in named(runs(*made)))


def test_shows_only_the_trials_that_the_setting_affects() -> None:
    acquisitions = [{"name": "entropy"}, {"name": "bald", "passes": 5}, {"name": "bald", "passes": 10}]
    made = [
        trial("uncertain-only", 0, [accuracy], settings={"acquisition": acquisition})
        for accuracy, acquisition in zip((0.3, 0.5, 0.7), acquisitions, strict=True)
    ]
    _, final = named(runs(*made))["sensitivity_acquisition.passes_cifar10"].rows[0]

    assert (final.series[0].x, final.series[0].mean) == ((5, 10), (0.5, 0.7))
    assert final.levels == ()


def test_caption_names_the_settings_over_which_the_means_are_taken() -> None:
    made = [
        trial("cluster-only", 0, [0.5], settings=threshold(value) | {"training": {"learning_rate": rate}})
        for value in (0.7, 0.9)
        for rate in (0.01, 0.02)
    ]
    found = named(runs(*made, supervised(0, 0.9)))

    caption = found["sensitivity_expert.purity_threshold_cifar10"].caption
    assert caption.startswith(
        "Mean and standard deviation over all finished trials with this value (1 to 2 trials each), whatever their "
        "other settings: learning rate. Area under the budget curve (AUBC)"
    )
    assert caption.endswith("Horizontal lines: scenarios that the setting does not affect.")
