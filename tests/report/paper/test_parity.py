from collections.abc import Sequence
from typing import Any

import pytest
from made_up import Points, level, runs, seeds, trial

from raycal.report.paper.claims import BEST, CLAIMS
from raycal.report.paper.parity import Finding, parity
from raycal.report.runs import Trial
from raycal.report.stats.comparison import by_dataset


def findings(*trials: Trial) -> dict[str, Finding]:
    (comparison,) = by_dataset(runs(*trials))
    return {finding.claim.id: finding for finding in parity(comparison)}


def cifar10(scenario: str, *curves: Points, **settings: Any) -> list[Trial]:
    return seeds(scenario, *curves, **{"dataset": "cifar10", **settings})


def clusters(
    scenario: str, *, errors: Sequence[Sequence[float | None]], annotated: Sequence[Sequence[int]] | None = None
) -> list[Trial]:
    """A seed per row of errors, at 10, 20, … interactions."""
    return [
        trial(
            scenario,
            [(10 * step, 0.5) for step in range(1, len(row) + 1)],
            seed=seed,
            values={"cluster_label_error": row} | ({"annotated": annotated[seed]} if annotated else {}),
        )
        for seed, row in enumerate(errors)
    ]


def test_ids_are_distinct_and_every_claim_is_answered() -> None:
    found = findings(*seeds("random", *level(0.5)))
    assert list(found) == [claim.id for claim in CLAIMS]
    assert len(found) == len(CLAIMS) == 9
    assert {finding.verdict for finding in found.values()} == {"not tested"}
    assert all(finding.reason for finding in found.values())


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ([0.950, 0.951, 0.949], "holds"),
        ([0.970, 0.971, 0.969], "does not hold"),
        ([0.930, 0.931, 0.929], "does not hold"),
        ([0.940, 0.950, 0.960], "undecided"),
        ([0.950], "not tested"),
    ],
)
def test_full_supervision(accuracies: list[float], verdict: str) -> None:
    found = findings(*cifar10("supervised", *([(50000, accuracy)] for accuracy in accuracies)))
    finding = found["full-supervision-cifar10"]
    assert finding.verdict == verdict
    assert finding.measured is not None
    assert finding.measured.mean == pytest.approx(sum(accuracies) / len(accuracies))
    assert (found["full-supervision-eurosat"].verdict, found["full-supervision-eurosat"].reason) == (
        "not tested",
        "about eurosat, not cifar10",
    )


def test_one_seed_at_best_points_the_same_way() -> None:
    one, other = (
        findings(*cifar10("supervised", [(50000, value)]))["full-supervision-cifar10"] for value in (0.95, 0.8)
    )
    assert (one.verdict, one.reason) == ("not tested", "points the same way, with one seed")
    assert (other.verdict, other.reason) == ("not tested", "points the other way, with one seed")


def test_other_settings_than_the_papers_are_named() -> None:
    trials = cifar10("supervised", *[[(500, 0.95)]] * 3, dataset={"name": "cifar10", "train_size": 500})
    assert findings(*trials)["full-supervision-cifar10"].reason == "dataset.train_size is 500, in the paper not set"
    trials = cifar10("supervised", *[[(50000, 0.95)]] * 3, model={"weights": "none"})
    assert findings(*trials)["full-supervision-cifar10"].reason == "model.weights is none, in the paper imagenet"


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [([0.948, 0.951, 0.949], "holds"), ([0.930, 0.929, 0.931], "does not hold"), ([0.92, 0.95, 0.96], "undecided")],
)
def test_similar_accuracy_with_fewer_interactions(accuracies: list[float], verdict: str) -> None:
    full = cifar10("supervised", *[[(50000, 0.95)]] * 3)
    ours = cifar10(BEST, *([(1000, 0.5), (8000, value - 0.01), (10000, value + 0.01)] for value in accuracies))
    finding = findings(*full, *ours)["fewer-interactions-cifar10"]
    assert finding.verdict == verdict
    assert finding.measured is not None
    assert finding.measured.mean == pytest.approx(sum(accuracies) / 3 - 0.95)


def test_similar_accuracy_needs_the_interactions() -> None:
    full, ours = cifar10("supervised", [(50000, 0.95)]), cifar10(BEST, [(1000, 0.5), (8000, 0.95)])
    reason = "no seed of both reaches 9,000 interactions"
    assert findings(*full, *ours)["fewer-interactions-cifar10"].reason == reason
    assert findings(*ours)["fewer-interactions-cifar10"].reason == "supervised was not run with these settings"
    failed = [trial("supervised", dataset="cifar10", status="failed")]
    assert findings(*failed, *ours)["fewer-interactions-cifar10"].reason == "no seed of supervised finished"


FIVE = ("random", "uncertain-only", "cluster-only", "cluster+uncertain")


@pytest.mark.parametrize(
    ("best", "verdict", "what"),
    [
        ([0.90, 0.91, 0.89], "holds", "uncertain+cluster minus random"),
        ([0.30, 0.31, 0.29], "does not hold", "uncertain+cluster minus random"),
        ([0.50, 0.90, 0.60], "undecided", "uncertain+cluster minus random"),
    ],
)
def test_best_area(best: list[float], verdict: str, what: str) -> None:
    others = [
        item for name, base in zip(FIVE, (0.5, 0.4, 0.3, 0.2), strict=True) for item in seeds(name, *level(*[base] * 3))
    ]
    finding = findings(*others, *seeds(BEST, *level(*best)))["uncertain-cluster-best"]
    assert (finding.verdict, finding.what) == (verdict, what)
    assert finding.measured is not None
    assert finding.measured.mean == pytest.approx(sum(best) / 3 - 0.5)


def test_best_area_is_not_shown_without_all_scenarios() -> None:
    trials = [*seeds("random", *level(0.1, 0.2)), *seeds(BEST, *level(0.8, 0.91))]
    missing = trial("cluster-only", status="failed")
    finding = findings(*trials, missing)["uncertain-cluster-best"]
    assert finding.verdict == "not tested"
    reason = (
        "holds for the finished scenarios, but no trial finished of uncertain-only, cluster-only, cluster+uncertain"
    )
    assert finding.reason == reason
    worse = [*seeds("random", *level(0.8, 0.91)), *seeds(BEST, *level(0.1, 0.2))]
    assert findings(*worse)["uncertain-cluster-best"].verdict == "does not hold"


def test_lowest_label_error() -> None:
    low = [[0.10, 0.02], [0.10, 0.03]]
    high = [[0.20, 0.21], [0.21, 0.21]]
    trials = [*clusters(BEST, errors=low), *clusters("cluster-only", errors=high)]
    others = clusters("cluster+uncertain", errors=high)
    assert findings(*trials, *others)["lowest-label-error"].verdict == "holds"
    # The differences in the two seeds are 0.205 - 0.06 and 0.21 - 0.065.
    measured = findings(*trials, *others)["lowest-label-error"].measured
    assert measured is not None
    assert measured.mean == pytest.approx(0.145)
    swapped = [*clusters(BEST, errors=high), *clusters("cluster-only", errors=low)]
    assert findings(*swapped, *others)["lowest-label-error"].verdict == "does not hold"


def test_label_error_falls_in_every_cluster_scenario() -> None:
    falling, rising = [[0.2, None, 0.10], [0.21, 0.3, 0.10]], [[0.1, 0.1, 0.2], [0.1, 0.1, 0.21]]
    trials = [*clusters(BEST, errors=falling), *clusters("cluster-only", errors=falling)]
    all_fall = findings(*trials, *clusters("cluster+uncertain", errors=falling))["label-error-falls"]
    assert all_fall.verdict == "holds"
    one_rises = findings(*trials, *clusters("cluster+uncertain", errors=rising))["label-error-falls"]
    assert (one_rises.verdict, one_rises.what) == ("does not hold", "cluster+uncertain")


def test_annotated_grows_and_is_more_than_spent() -> None:
    errors = [[0.1] * 3] * 2
    growing, falling = [[100, 200, 290], [101, 205, 300]], [[100, 50, 290], [100, 49, 300]]
    names = ("cluster-only", BEST, "cluster+uncertain")
    trials = [item for name in names for item in clusters(name, errors=errors, annotated=growing)]
    found = findings(*trials)
    assert found["annotated-grows"].verdict == "holds"
    assert found["more-annotated-than-interactions"].verdict == "holds"
    one_falls = findings(*trials[:4], *clusters(names[2], errors=errors, annotated=falling))["annotated-grows"]
    assert (one_falls.verdict, one_falls.what) == ("does not hold", "cluster+uncertain, iteration 1")
    few = [[1, 2, 3], [1, 2, 4]]
    fewer = findings(*trials[:4], *clusters(names[2], errors=errors, annotated=few))
    assert fewer["more-annotated-than-interactions"].verdict == "does not hold"


def test_a_claim_about_another_dataset_is_answered_once() -> None:
    trials = [
        item
        for threshold in (0.7, 0.9)
        for item in seeds("cluster-only", *level(0.5), expert={"purity_threshold": threshold})
    ]
    (comparison,) = by_dataset(runs(*trials))
    settings = [finding.setting for finding in parity(comparison)]
    assert len(settings) == 4 + 5 * 2
    assert settings[:4] == [""] * 4


def test_rounding_is_no_better_area() -> None:
    # Both curves have the mean 0.5875; rounding errors make the mean of the best scenario the larger float.
    first, second = [(10, 0.24), (20, 0.75), (30, 0.61)], [(10, 0.83), (30, 0.345)]
    others = ("random", "uncertain-only", "cluster-only", "cluster+uncertain")
    trials = [*seeds(BEST, first, first), *(item for name in others for item in seeds(name, second, second))]

    finding = findings(*trials)["uncertain-cluster-best"]

    assert finding.measured is not None
    assert finding.measured.mean == pytest.approx(0, abs=1e-12)
    assert finding.verdict == "undecided"
