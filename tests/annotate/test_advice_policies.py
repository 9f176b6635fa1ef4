"""Tests which policies are compared, and which of them people can follow without a new project."""

from collections import Counter
from dataclasses import replace

import pytest

from raycal.algorithm.scenario import SCENARIOS
from raycal.annotate.advice.policies import Policy, num_questions, policies, project_settings

NOW = Policy(scenario=SCENARIOS["cluster+uncertain"])
RANDOM = Policy(scenario=SCENARIOS["random"])


def test_policies_begin_with_the_current_one_and_have_no_duplicates() -> None:
    tried = policies(NOW, 100)

    assert tried[0] == NOW
    assert all(tried.index(policy) == at for at, policy in enumerate(tried))
    assert Counter(policy.scenario.name for policy in tried) == {
        "cluster+uncertain": 7,
        "uncertain+cluster": 7,
        "cluster-only": 7,
        "random": 1,
        "uncertain-only": 1,
    }


@pytest.mark.parametrize("name", ["cluster+uncertain", "cluster-only"])
def test_variants_change_one_setting_or_two(name: str) -> None:
    variants = [policy for policy in policies(NOW, 101) if policy.scenario.name == name]
    base = replace(NOW, scenario=SCENARIOS[name])
    doubled = 2 * num_questions(base.scenario, 101)

    assert doubled == {"cluster+uncertain": 102, "cluster-only": 202}[name]
    assert variants == [
        base,
        replace(base, num_clusters=doubled),
        replace(base, on_refusal="split"),
        replace(base, num_clusters=doubled, on_refusal="split"),
        replace(base, threshold=0.7),
        replace(base, threshold=0.9),
        replace(base, shown=12),
    ]


def test_own_number_of_clusters_is_doubled_and_a_split_is_taken_back() -> None:
    now = replace(NOW, num_clusters=30, on_refusal="split")

    changed = [(policy.num_clusters, policy.on_refusal) for policy in policies(now, 100)[:4]]

    assert changed == [(30, "split"), (60, "split"), (30, "skip"), (60, "skip")]


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        (NOW, True),
        (replace(NOW, threshold=0.7), True),
        (replace(NOW, on_refusal="split", threshold=0.9), True),
        (replace(NOW, num_clusters=80), False),
        (replace(NOW, shown=12), False),
        (RANDOM, False),
        (replace(NOW, scenario=SCENARIOS["cluster-only"]), False),
    ],
)
def test_people_may_change_their_own_habits_only(policy: Policy, may: bool) -> None:
    assert policy.may_follow(NOW) == may


def test_settings_of_clusters_do_not_matter_without_clusters() -> None:
    assert NOW.changes(replace(RANDOM, threshold=0.7, num_clusters=9)) == {"scenario"}


def test_project_settings_are_what_a_project_file_can_say() -> None:
    other = replace(NOW, scenario=SCENARIOS["cluster-only"], num_clusters=200, on_refusal="split", threshold=0.7)

    assert project_settings(other, NOW) == {"scenario": "cluster-only", "clustering.num_clusters": 200}
    assert project_settings(replace(NOW, threshold=0.7), NOW) == {}
