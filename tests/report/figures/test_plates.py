import pytest
from small_runs import line, runs, supervised, threshold, trial

from raycal.report.figures.charts import Plate
from raycal.report.figures.plates import plates
from raycal.report.runs import Runs

CLUSTERS = {"cluster_label_error": 0.1, "annotated": 500}


def named(of: Runs) -> dict[str, Plate]:
    return {plate.name: plate for plate in plates(of)}


def test_unfinished_trials_are_drawn_only_if_asked_for_and_do_not_cut_the_axis() -> None:
    of = runs(
        trial("random", 0, [0.4, 0.5, 0.6]),
        trial("random", 1, [0.2, 0.3], status="unfinished"),
        trial("uncertain-only", 0, [0.5, 0.55], status="unfinished"),
        trial("cluster-only", 0, [0.9], status="failed", reason="no luck"),
    )
    (usual,) = plates(of)[0].rows[0][:1]
    assert [(one.scenario, one.mean) for one in usual.series] == [("random", (0.4, 0.5, 0.6))]

    (chart,) = plates(of, with_unfinished=True)[0].rows[0][:1]
    assert [(one.scenario, one.counts) for one in chart.series] == [("random", (2, 2, 1)), ("uncertain-only", (1, 1))]
    assert chart.series[0].mean == pytest.approx((0.3, 0.4, 0.6))
    assert chart.x_range is None  # If the axis ended with the shared budget, the line of random would end at 200.


def test_figures_of_a_dataset() -> None:
    clusters = trial("cluster-only", 0, lines=[line(at, 0.6 + at / 10, **CLUSTERS) for at in range(3)])
    found = named(runs(trial("random", 0, [0.4, 0.5, 0.6]), clusters, supervised(0, 0.9)))

    assert list(found) == ["figure2_cifar10", "figure3_cifar10", "cost_cifar10"]
    whole, upper = found["figure2_cifar10"].rows[0]
    assert [one.scenario for one in whole.series] == ["random", "cluster-only"]
    assert (whole.levels[0].mean, whole.x_range) == (0.9, (94, 306))
    assert upper.x_range is not None
    error, annotated = found["figure3_cifar10"].rows[0]
    assert [(one.scenario, one.mean) for one in error.series] == [("cluster-only", pytest.approx((10, 10, 10)))]
    assert annotated.series[0].mean == (500, 500, 500)
    images, hours = found["cost_cifar10"].rows[0]
    assert images.series[0].x == (100, 200, 300)
    assert hours.series[0].x == pytest.approx((1, 2, 3))


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ({"random": 1, "cluster-only": 1}, "With a single seed, no deviation is known."),
        (
            {"random": 2, "cluster-only": 2},
            "Lines show means over 2 seeds; bands and bars show one standard deviation.",
        ),
        (
            {"random": 1, "cluster-only": 3},
            "Lines show means over 1 to 3 seeds; bands and bars show one standard deviation.",
        ),
    ],
)
def test_caption_says_how_many_seeds(seeds: dict[str, int], words: str) -> None:
    made = [trial(name, seed, [0.4, 0.5]) for name, count in seeds.items() for seed in range(count)]
    assert named(runs(*made))["figure2_cifar10"].caption.endswith(words)


def test_choice_of_the_best_setting_is_said_to_be_made_among_the_same_runs() -> None:
    many = [trial("cluster-only", 0, [value, value], settings=threshold(value)) for value in (0.6, 0.7, 0.8, 0.9)]
    assert "chosen from these same runs" in named(runs(*many))["figure2_cifar10"].caption


def test_without_full_supervision_there_is_no_level() -> None:
    found = named(runs(trial("random", 0, [0.4, 0.5])))
    assert list(found) == ["figure2_cifar10", "cost_cifar10"]
    assert found["figure2_cifar10"].rows[0][0].levels == ()


def test_full_supervision_alone_is_a_level() -> None:
    (chart,) = named(runs(supervised(0, 0.9)))["figure2_cifar10"].rows[0]
    assert (chart.series, chart.levels[0].mean) == ((), 0.9)


def test_without_accuracies_there_is_nothing_to_draw() -> None:
    assert plates(runs(trial("random", 0, [None, None]))) == []
    assert plates(runs()) == []
