from typing import Any

import pytest
from made_up import Points, runs, seeds

from raycal.report.runs import Trial
from raycal.report.stats.at_budget import at_budget
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.reasons import named_margins, percent, reason

LOW: Points = [(50, 0.4), (100, 0.5)]
HIGH: Points = [(50, 0.6), (100, 0.9)]


def why(*trials: Trial) -> str:
    (found,) = by_dataset(runs(*trials))
    ranked = at_budget(found)
    assert ranked is not None
    found_reason = reason(ranked)
    return found_reason.words if found_reason else ""


def one(scenario: str, points: Points, **values: Any) -> list[Trial]:
    """One seed, with two values of each key, or with the same value twice."""
    columns = {key: value if isinstance(value, list) else [value] * len(points) for key, value in values.items()}
    return seeds(scenario, points, values=columns)


def test_random_wins_because_labels_of_clusters_are_wrong() -> None:
    wrong = one("cluster-only", LOW, clusters_shown=50, clusters_accepted=40, cluster_label_error=[0.3, 0.12])
    assert why(*one("random", HIGH), *wrong) == "12 % of the cluster labels of cluster-only were wrong"


def test_clusters_of_all_iterations_up_to_the_budget_count() -> None:
    refused = one("cluster-only", LOW, clusters_shown=50, clusters_accepted=[0, 20])
    assert why(*one("random", HIGH), *refused) == "the expert refused 80 % of the clusters that cluster-only showed"
    longer: Points = [(50, 0.4), (100, 0.5), (150, 0.6)]
    refused = one("cluster-only", longer, clusters_shown=50, clusters_accepted=[0, 0, 50])
    assert why(*one("random", HIGH), *refused) == "the expert refused all clusters that cluster-only showed"


def test_clusters_that_were_accepted_and_right_are_no_reason() -> None:
    fine = one("cluster-only", LOW, clusters_shown=50, clusters_accepted=40, cluster_label_error=0.04)
    assert why(*one("random", HIGH), *fine) == ""
    assert why(*one("random", HIGH), *one("uncertain-only", LOW)) == ""


def test_winner_with_clusters_annotated_more() -> None:
    winner = one("cluster-only", HIGH, clusters_shown=50, annotated=570)
    second = one("uncertain+cluster", [(50, 0.6), (100, 0.8)], clusters_shown=25, annotated=500)
    random = one("random", LOW, annotated=100)
    assert why(*winner, *second, *random) == "by then cluster-only had annotated 570 images, and random 100"
    assert why(*winner, *second) == ""


def test_winner_with_clusters_had_fewer_wrong_labels() -> None:
    winner = one("cluster-only", HIGH, clusters_shown=50, annotated=500, cluster_label_error=0.05)
    second = one("uncertain+cluster", LOW, clusters_shown=25, annotated=490, cluster_label_error=0.12)
    assert why(*winner, *second) == (
        "5 % of its cluster labels were wrong, and 12 % of the cluster labels of uncertain+cluster"
    )


def test_winner_was_trained_on_pseudo_labels() -> None:
    winner = one("label-propagation", HIGH, pseudo_labeled=360, pseudo_label_error=0.46)
    assert why(*winner, *one("random", LOW)) == (
        "it was also trained on 360 labels that its own model gave, 46 % of them wrong"
    )


def test_loser_was_trained_on_wrong_pseudo_labels() -> None:
    loser = one("pseudo-labels", LOW, pseudo_labeled=360, pseudo_label_error=0.46)
    assert why(*one("random", HIGH), *loser) == (
        "46 % of the labels that the model of pseudo-labels gave to images were wrong"
    )


def test_margin_over_the_group_that_the_reason_is_about_is_named_too() -> None:
    refused = one("cluster-only", LOW, clusters_shown=50, clusters_accepted=0)
    middle = [seeds(name, [(50, 0.5), (100, end)]) for name, end in (("uncertain-only", 0.8), ("random", 0.7))]
    (found,) = by_dataset(runs(*one("pseudo-labels", HIGH), *middle[0], *middle[1], *refused))
    ranked = at_budget(found)
    assert ranked is not None
    assert [margin.over.scenario for margin in ranked.main_margins] == ["uncertain-only", "random"]
    assert [margin.over.scenario for margin in named_margins(ranked)] == ["uncertain-only", "random", "cluster-only"]


def test_nobody_lost_where_the_seeds_cannot_tell() -> None:
    shown = {"values": {"clusters_shown": [50, 50], "clusters_accepted": [0, 0]}}
    trials = (*seeds("random", HIGH, LOW), *seeds("cluster-only", LOW, HIGH, **shown))
    assert why(*trials) == ""
    assert why(*seeds("random", HIGH, HIGH), *seeds("cluster-only", LOW, LOW, **shown)) != ""


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.001, "1 %"), (0.944, "94 %"), (0.999, "99 %"), (1.0, "100 %")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
