"""Tests the sentences of the advice."""

from dataclasses import replace

import pytest

from raycal.algorithm.scenario import SCENARIOS
from raycal.annotate.advice.mistakes import ErrorRate
from raycal.annotate.advice.outcome import Outcome
from raycal.annotate.advice.policies import Policy
from raycal.annotate.advice.simulation import Simulation, Team
from raycal.annotate.advice.words import (
    advice_lines,
    error_words,
    minutes,
    name_of,
    outcome_lines,
    rounds_words,
    yaml_lines,
)
from raycal.config import ExperimentConfig
from raycal.experiment.build import REGISTRIES
from raycal.report.stats.estimate import Estimate
from raycal.report.stats.paired import PairedTest

NOW = Policy(scenario=SCENARIOS["cluster+uncertain"])
NOTHING_ELSE = "For this project, nothing that can be changed now is better by more than chance may explain."


def around(mean: float, half: float = 0.01) -> Estimate:
    return Estimate(n=5, mean=mean, sd=half, low=mean - half, high=mean + half)


def outcome(policy: Policy, gain: float, *, more: float | None = None, p: float = 0.01) -> Outcome:
    test = None if more is None else PairedTest(
        difference=around(more, 0.0115), cohens_dz=1.0, t_p=p, wilcoxon_p=p, note=""
    )  # fmt: skip
    return Outcome(
        policy=policy,
        accuracy=around(gain + 0.1),
        gain=around(gain),
        versus_current=test,
        p=None if more is None else p,
        seconds_to_target=around(900, 50),
    )


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (NOW, "cluster+uncertain"),
        (replace(NOW, num_clusters=200), "cluster+uncertain (200 clusters)"),
        (
            replace(NOW, scenario=SCENARIOS["cluster-only"], threshold=0.7, shown=12, on_refusal="split"),
            "cluster-only (clusters labeled from 70% alike, 12 birds of a cluster shown, mixed clusters split)",
        ),
        (replace(NOW, scenario=SCENARIOS["random"], threshold=0.7), "random"),
    ],
)
def test_name_says_what_is_different(policy: Policy, name: str) -> None:
    assert name_of(policy, NOW, "bird") == name


def test_habit_is_advised_for_the_next_round() -> None:
    habit = replace(NOW, threshold=0.7, on_refusal="split")
    found = list(advice_lines([outcome(NOW, 0.18), outcome(habit, 0.211, more=0.031)], 1200))

    assert found == [
        "Advice for the next round: label a cluster as soon as 70% of the images shown are alike and press S (split) "
        "for a mixed cluster, and not X.",
        "cluster+uncertain (clusters labeled from 70% alike, mixed clusters split): +21.1 points in 20.0 min instead "
        "of +18.0, and +3.1 (+1.9 to +4.2) points on average over this time; it reaches the accuracy of "
        "cluster+uncertain in 0.75 of the time.",
    ]


def test_other_scenario_is_advised_for_a_new_project() -> None:
    other = replace(NOW, scenario=SCENARIOS["cluster-only"], num_clusters=200, shown=12)
    found = list(advice_lines([outcome(NOW, 0.18), outcome(other, 0.211, more=0.031)], 1200, "text"))

    assert found == [
        "Advice for a new project: cluster-only (200 clusters, 12 texts of a cluster shown). A project that has begun "
        "accepts only another number of iterations, so give the new project file another name, and these lines:",
        "    experiment:",
        "      scenario: cluster-only",
        "      clustering: {num_clusters: 200}",
        "On the page, look at 12 texts of a cluster.",
        "cluster-only (200 clusters, 12 texts of a cluster shown): +21.1 points in 20.0 min instead of +18.0, and "
        "+3.1 (+1.9 to +4.2) points on average over this time; it reaches the accuracy of cluster+uncertain in 0.75 of "
        "the time.",
        "The page has no setting for the texts that it shows of a cluster, so people look at fewer themselves.",
        NOTHING_ELSE,
    ]


def test_best_policy_and_best_habit_are_both_advised() -> None:
    best, habit = replace(NOW, scenario=SCENARIOS["random"]), replace(NOW, threshold=0.9)
    found = list(
        advice_lines([outcome(NOW, 0.18), outcome(best, 0.3, more=0.12), outcome(habit, 0.2, more=0.02)], 1200)
    )

    assert found[0].startswith(
        "Advice for the next round: label a cluster as soon as 90% of the images shown are alike."
    )
    assert found[2].startswith("Advice for a new project: random. ")
    assert found[3:5] == ["    experiment:", "      scenario: random"]
    assert NOTHING_ELSE not in found


@pytest.mark.parametrize(("more", "p"), [(0.031, 0.2), (-0.05, 0.001)])
def test_difference_that_may_be_chance_is_no_reason_to_change(more: float, p: float) -> None:
    habit = replace(NOW, threshold=0.7)

    assert list(advice_lines([outcome(NOW, 0.18), outcome(habit, 0.2, more=more, p=p)], 1200)) == [
        "Advice: stay with cluster+uncertain as it is. No other policy is better by more than chance may explain."
    ]


def test_habits_alone_need_no_setting() -> None:
    assert yaml_lines(replace(NOW, threshold=0.7), NOW) == ["# the settings of this project"]
    assert yaml_lines(replace(NOW, num_clusters=None), replace(NOW, num_clusters=9)) == [
        "experiment:",
        "  clustering: {num_clusters: null}",
    ]


def test_table_has_the_gain_per_minute() -> None:
    other = replace(NOW, threshold=0.7)

    assert list(outcome_lines([outcome(NOW, 0.18), outcome(other, 0.211, more=0.031)], 1200)) == [
        f"  {'cluster+uncertain (as now)':51}  accuracy 0.280 (0.270 to 0.290), +18.0 (+17.0 to +19.0) points more "
        "than a constant guess, 0.9 points a minute",
        "  cluster+uncertain (clusters labeled from 70% alike)  accuracy 0.311 (0.301 to 0.321), +21.1 (+20.1 to "
        "+22.1) points more than a constant guess, 1.1 points a minute",
        f"  {'':51}  +3.1 (+1.9 to +4.2) points compared with now, on average over the time, p = 0.01",
    ]


@pytest.mark.parametrize(
    ("pairs", "few"),
    [
        (0, "no two people labeled the same image alone"),
        (1, "there is only 1 pair of labels that two people gave to the same image alone"),
        (3, "there are only 3 pairs of labels that two people gave to the same image alone"),
    ],
)
def test_errors_that_are_not_known_are_said_to_be_zero(pairs: int, few: str) -> None:
    unknown = ErrorRate(pairs=pairs, differing=0, rate=None, low=None, high=None)

    assert error_words(unknown) == (
        f"errors of the team: not known, because {few}, and at least 20 such pairs of labels are needed; the simulated "
        "people make no errors"
    )


def test_errors_that_are_known_are_said_with_their_source() -> None:
    known = ErrorRate(pairs=40, differing=4, rate=0.051, low=0.02, high=0.124)

    assert error_words(known, "text") == (
        "errors of the team: 5.1% of the answers about a single text are probably wrong (95 % interval 2.0% to 12.4%), "
        "because in 4 of 40 pairs of labels that two people gave to the same text, the labels differ"
    )


@pytest.mark.parametrize(
    ("iterations", "share", "words"),
    [
        (4, 1.0, "the current policy is simulated for 4 rounds of 80 questions, as in this project"),
        (
            20,
            0.25,
            "the current policy is simulated for 4 rounds of 20 questions, and not for the 20 rounds of 80 questions "
            "of this project, whose pool has 4.0 times as many texts",
        ),
        (
            1,
            1.0,
            "the current policy is simulated for 2 rounds of 80 questions, and not for the 1 round of 80 questions of "
            "this project",
        ),
    ],
)
def test_rounds_of_the_simulation_are_compared_with_those_of_the_project(
    iterations: int, share: float, words: str
) -> None:
    settings = {"dataset": "digits", "expert": "people", "iterations": iterations, "interactions_per_iteration": 80}
    settings |= {"model": {"weights": "none"}, "training": {"epochs": 1}, "scenario": NOW.scenario.name}
    config = ExperimentConfig.model_validate(settings, context=REGISTRIES)
    simulation = Simulation(
        config=config, current=NOW, team=Team(prices={}), file="labels.npz", pool=1000, share_of_pool=share
    )

    assert rounds_words(simulation, "text") == (
        f"{words}; the other policies get as many rounds as take people about the same time, so the counts of "
        "iterations below differ"
    )


def test_times_are_rounded() -> None:
    assert (minutes(42.4), minutes(100), minutes(1234)) == ("42 s", "1.7 min", "20.6 min")
