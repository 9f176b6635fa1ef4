"""Measures on several data sets whether the advised policy reaches an accuracy in less time than the default one.

Simulated people with hidden prices and errors label two rounds of a project with the default scenario. From these
labels and times alone, the advice is made. Then the default policy and the advised one label the whole data set anew,
with the hidden prices and errors, and with seeds that nobody has seen.

Measured on 2026-11-28 (one run, five seeds, a shared machine with two cores):

| data set | advice | time to the accuracy that the default reaches, advised policy / default |
|---|---|---|
| 4,000 aerial photos of AID, features of a MobileNetV2 | `random` | 0.18 |
| made_up | `cluster-only`, clusters labeled from 70 % alike | 0.29 |
| digits | mixed clusters split | 0.68 |
| 4,000 images of CIFAR-10, features of a MobileNetV2 | to stay | 1.00 |
| breast_cancer | to stay | 1.00 |

The goal of 0.85 is reached on three data sets of five. On breast_cancer, the best of all policies needs 0.95 of the
time of the default (three seeds). On CIFAR-10, clusters labeled from 70 % alike need 0.57 of it (five seeds), but the
accuracy is nearly the same over the time: it differs by 0.008 on average, with an interval from -0.008 to 0.024 (six
seeds).
"""

from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from advised_projects import DEFAULT, HIDDEN, SOURCES, advised_project

from raycal.annotate.advice.command import compare
from raycal.annotate.advice.outcome import PolicyTrials, accuracy_at, period_of
from raycal.annotate.advice.words import name_of
from raycal.storage.folder import Folder

SEEDS = (20, 21, 22, 23, 24)
GOAL, MOST = 0.85, 1.05


def mean_time_to(trials: PolicyTrials, target: float, guessing: float) -> float:
    """The first time at which the mean accuracy over the seeds reaches a target; infinite if it never does."""
    end = max(lines[-1]["human_seconds"] for lines in trials.lines.values())
    for seconds in np.linspace(0, end, 2001).tolist():
        if fmean(accuracy_at(lines, seconds, guessing) for lines in trials.lines.values()) >= target:
            return seconds
    return float("inf")


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SOURCES)
def test_advised_policy_needs_less_time(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = advised_project(name, tmp_path)
    current, guessing = project.current, project.guessing
    labels, simulation = project.label()
    found, _ = compare(simulation, Folder.at(str(tmp_path / "advice")), project.where, labels)
    better = [one.policy for one in found[1:] if one.is_better]
    policies = [current, *better[:1]]

    trials = project.run(project.real, policies, SEEDS, "real")
    end = period_of(trials[0], guessing).end
    target = fmean(accuracy_at(lines, end, guessing) for lines in trials[0].lines.values())
    times = [mean_time_to(one, target, guessing) for one in trials]
    ratio = times[-1] / times[0]
    with capsys.disabled():
        print(
            f"\n{name}: {labels.num_trusted} samples labeled alone; {name_of(policies[-1], current)} reaches "
            f"{target:.3f} in {times[-1]:.0f} s, {DEFAULT} in {times[0]:.0f} s: ratio {ratio:.2f}, goal {GOAL}"
        )
    for option, price in simulation.team.prices.items():
        if option != "seconds_per_cluster":
            assert price == pytest.approx(HIDDEN.prices[option], rel=0.15), option
    # The goal is missed where the advice is to stay. Advice that costs time is an error.
    assert ratio <= MOST
