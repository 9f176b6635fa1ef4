import pytest
from made_up import Points, level, runs, seeds

from raycal.report.runs import Trial
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.recommendation import Recommendation, full_accuracy, goal, recommend


def reaching(*interactions: float) -> list[Points]:
    """Curves, one per seed, that cross 0.81 (90 % of 0.9) after these numbers of interactions and end after 100."""
    return [[(10, 0.0), (needed, 0.81), (100, 0.82)] for needed in interactions]


NEVER: Points = [(10, 0.0), (100, 0.5)]
FULL = seeds("supervised", [(800, 0.9)])


def first(*trials: Trial) -> Recommendation:
    (found,) = by_dataset(runs(*trials))
    return recommend(found)[0]


def test_fewest_interactions_by_hand() -> None:
    found = first(*FULL, *seeds("random", *reaching(80, 82, 90)), *seeds("cluster-only", *reaching(40, 41, 45)))
    assert found.group is not None
    assert found.group.scenario == "cluster-only"
    assert (found.percent, found.accuracy) == (90, pytest.approx(0.81))
    assert found.needed is not None
    assert found.needed.by_seed == {0: 40, 1: 41, 2: 45}
    assert (found.rivals, found.num_reached) == ((), 2)
    assert found.random is not None
    assert found.random_needed is not None
    assert found.random_needed.by_seed == {0: 80, 1: 82, 2: 90}


def test_groups_that_cannot_be_told_apart_are_rivals_in_the_order_of_their_need() -> None:
    others = ["uncertain-only", "cluster-only", "uncertain+cluster", "cluster+uncertain"]
    trials = [
        trial
        for place, scenario in enumerate(others)
        for trial in seeds(scenario, *reaching(60 - place, 20 + place, 40 - place))
    ]
    assert [group.scenario for group in first(*FULL, *trials).rivals] == others[2::-1]


def test_a_group_must_get_there_in_every_seed() -> None:
    sometimes = seeds("cluster-only", *reaching(20), NEVER)
    found = first(*FULL, *sometimes, *seeds("random", *reaching(80, 90)))
    assert found.group is not None
    assert (found.group.scenario, found.random) == ("random", None)
    alone = first(*FULL, *sometimes)
    assert (alone.group, alone.num_reached) == (None, 0)
    assert alone.closest is not None
    assert (alone.closest[0].scenario, alone.closest[1].reached) == ("cluster-only", 1)
    assert first(*FULL, *seeds("random", NEVER)).closest is None


def test_target_that_is_met_exactly_is_reached() -> None:
    found = first(
        *seeds("supervised", [(800, 0.8)]),
        *seeds("cluster-only", [(10, 0.0), (40, 0.72)], [(10, 0.0), (60, 0.72)]),
        *seeds("random", [(10, 0.0), (100, 0.72)], [(10, 0.0), (100, 0.72)]),
    )
    assert found.group is not None
    assert (found.group.scenario, found.num_reached) == ("cluster-only", 2)


def test_without_full_supervision_there_is_no_target() -> None:
    (found,) = by_dataset(runs(*seeds("random", *level(0.5)), *seeds("cluster-only", *level(0.8))))
    assert recommend(found) == []
    assert full_accuracy(found) is None
    assert goal(found, 90) == ("90 % of the best final accuracy", pytest.approx(0.72))


def test_upper_bound_is_not_recommended() -> None:
    found = first(
        *FULL,
        *seeds("uncertain-only", *reaching(60, 61)),
        *seeds("cluster-only", *reaching(20, 21), clustering={"name": "kmeans", "order": "oracle"}),
    )
    assert found.group is not None
    assert (found.group.scenario, found.rivals) == ("uncertain-only", ())
