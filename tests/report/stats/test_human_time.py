from made_up import runs, seeds, trial

from raycal.report.cells import EMPTY
from raycal.report.expert_time import cost_words, expert_time
from raycal.report.stats.human_time import hours_at, hours_to_reach


def test_hours_are_interpolated_where_the_accuracy_is_reached() -> None:
    (group,) = runs(*seeds("random", [(10, 0.2), (20, 0.6)], [(10, 0.4), (30, 0.8)])).groups

    reached = hours_to_reach(group, 0.5)  # The two seeds need 17.5 and 15 interactions of an hour each.
    assert reached is not None
    assert reached.mean == 16.25
    assert hours_to_reach(group, 0.7) is None  # The first seed does not reach 0.7.
    at_twelve, at_thirty = hours_at(group, 12), hours_at(group, 30)
    assert at_twelve is not None
    assert at_twelve.mean == 12
    assert at_thirty is None


def test_table_has_a_column_per_target_and_says_once_what_all_need() -> None:
    (view,) = expert_time(
        runs(
            *seeds("random", [(10, 0.2), (20, 0.6)]),
            *seeds("cluster-only", [(10, 0.2), (20, 0.95)]),
            trial("supervised", [(100, 1.0)]),
        )
    )

    assert dict(view.columns) == {
        "group": ["random", "cluster-only"],
        "hours until 90 % of full supervision": [EMPTY, "19.33"],
        "hours until 95 % of full supervision": [EMPTY, "20"],
    }
    assert view.notes == ["Every scenario takes 20 hours for 20 interactions."]


def test_cost_of_an_answer_is_told() -> None:
    of = runs(trial("random", [(10, 0.2)], expert={"name": "oracle", "seconds_per_cluster": 8}))
    assert cost_words(of) == "It is not measured but calculated: 4.2 s for an image and 8 s for a cluster."
    other = trial("random", [(10, 0.2)], seed=1)
    assert cost_words(runs(*of.trials, other)) == ""
