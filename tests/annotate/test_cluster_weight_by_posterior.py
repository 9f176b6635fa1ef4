"""Measures whether models learn better if each label of a cluster is weighted by its posterior probability.

Two simulated people label digits for five rounds, with shared questions and audits, and a linear classifier of the
pixels learns. The table has the test accuracy with the weights minus that without them, in points, with the 95 %
interval of a paired t-test that is not corrected for the number of comparisons. Measured on 2026-11-28 (20 seeds, a
shared machine, 2 cores of an AMD EPYC):

| people | wrong labels of clusters | first round | mean of 5 rounds | last round |
|---|---|---|---|---|
| both careful | 6 % | 0.1 [-0.0, 0.1] | 0.4 [-0.7, 1.6] | 2.2 [-1.2, 5.5] |
| one errs in 20 % of the answers | 16 % | -0.1 [-0.4, 0.3] | 1.6 [-0.3, 3.4] | 4.5 [-1.1, 10.1] |
| both careful, clusters from 60 % alike | 11 % | -0.1 [-0.2, 0.0] | -0.3 [-1.1, 0.5] | 0.5 [-1.4, 2.3] |

A gain is not shown, and none of the teams clearly loses. The people mark no odd images. People who mark them, which the
posterior takes into account, were not measured.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from erring_bots import OWNER, Outcome, Team, label_with_errors, network_of_pixels

from raycal.report.stats.paired import PairedTest, paired_test

SEEDS = range(20)
ROUNDS = 5
TEAMS: Mapping[str, Team] = {
    "careful": Team(),
    "one careless": Team(error_rates={OWNER: 0.0, "person-1": 0.2}),
    "mixed clusters": Team(purity=0.6),
}
UNWEIGHTED, POSTERIOR = 1.0, "posterior"


def settings(model: str, seed: int, cluster_weight: float | str) -> dict[str, Any]:
    training = {"stop": "steps", "steps": 60, "learning_rate": 0.02, "image_size": 32}
    return {
        "dataset": {"name": "digits"},
        "model": {"name": model, "weights": "none", "frozen": True},
        "scenario": "cluster+uncertain",
        "iterations": ROUNDS,
        "interactions_per_iteration": 30,
        "seed": seed,
        "training": {**training, "cluster_weight": cluster_weight},
    }


def words(name: str, test: PairedTest) -> str:
    difference = test.difference
    assert difference is not None
    assert difference.low is not None
    assert difference.high is not None
    interval = f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    return f"{name}: {100 * difference.mean:+.1f} points {interval}, n = {test.n}"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_weights_by_posterior_compared_with_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: dict[str, list[tuple[Outcome, Outcome]]] = {name: [] for name in TEAMS}
    with network_of_pixels() as model, capsys.disabled():
        for seed in SEEDS:
            for number, (name, team) in enumerate(TEAMS.items()):
                posterior, unweighted = (
                    label_with_errors(tmp_path / f"{seed}-{number}-{weight}", settings(model, seed, weight), team)
                    for weight in (POSTERIOR, UNWEIGHTED)
                )
                outcomes[name].append((posterior, unweighted))
                print(f"\nseed {seed}, {name}: {posterior}, unweighted {unweighted}", end="", flush=True)
        for name, pairs in outcomes.items():
            wrong = fmean(one.wrong for pair in pairs for one in pair)
            print(f"\n{name}: {wrong:.1%} of the labels of clusters are wrong")
            assert 0.03 < wrong < 0.25
            for what, value in {
                "first round": lambda one: one.accuracies[0],
                "mean of rounds": lambda one: fmean(one.accuracies),
                "last round": lambda one: one.accuracies[-1],
            }.items():
                weighted, plain = ([value(pair[side]) for pair in pairs] for side in (0, 1))
                means = f"{fmean(weighted):.3f} weighted, {fmean(plain):.3f} unweighted"
                test = paired_test(weighted, plain)
                print(f"  {words(what, test)}; {means}")
                # Weights that clearly make models worse are an error.
                assert test.difference is not None
                assert test.difference.high is not None
                assert test.difference.high >= 0
