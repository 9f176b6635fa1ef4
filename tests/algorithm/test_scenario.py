from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.scenario import SCENARIOS, Ask, PseudoLabelsBy, Scenario, Step

THIRD = Fraction(1, 3)


def own(*shares: Fraction) -> Scenario:
    return Scenario(name="own", steps=tuple(Step(Ask.UNCERTAIN, share) for share in shares))


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("random", [Ask.RANDOM]),
        ("uncertain-only", [Ask.UNCERTAIN]),
        ("cluster-only", [Ask.CLUSTERS]),
        ("uncertain+cluster", [Ask.UNCERTAIN, Ask.CLUSTERS]),
        ("cluster+uncertain", [Ask.CLUSTERS, Ask.UNCERTAIN]),
        ("supervised", [Ask.RANDOM]),
        ("ceal", [Ask.UNCERTAIN]),
        ("pseudo-labels", [Ask.UNCERTAIN]),
        ("label-propagation", [Ask.UNCERTAIN]),
        ("representative-only", [Ask.REPRESENTATIVES]),
    ],
)
def test_scenario_has_its_steps_in_their_order(name: str, asks: list[Ask]) -> None:
    assert SCENARIOS[name].name == name
    assert [step.ask for step in SCENARIOS[name].steps] == asks
    assert [step.share for step in SCENARIOS[name].steps] == [Fraction(1, len(asks))] * len(asks)


def test_scenarios_are_the_paper_s_five_full_supervision_and_related_work() -> None:
    assert list(SCENARIOS) == [
        "random",
        "uncertain-only",
        "cluster-only",
        "uncertain+cluster",
        "cluster+uncertain",
        "supervised",
        "ceal",
        "pseudo-labels",
        "label-propagation",
        "representative-only",
    ]
    assert [name for name, scenario in SCENARIOS.items() if scenario.whole_pool] == ["supervised"]


@pytest.mark.parametrize("name", ["uncertain+cluster", "cluster+uncertain"])
@pytest.mark.parametrize(
    ("interactions", "budgets"), [(1000, (500, 500)), (5, (3, 2)), (1, (1, 0)), (2, (1, 1)), (0, (0, 0))]
)
def test_earlier_step_of_a_mixed_scenario_gets_the_odd_interaction(
    name: str, interactions: int, budgets: tuple[int, int]
) -> None:
    assert SCENARIOS[name].budgets(interactions) == budgets


@pytest.mark.parametrize("name", ["random", "uncertain-only", "cluster-only", "supervised"])
def test_single_step_gets_the_whole_budget(name: str) -> None:
    assert SCENARIOS[name].budgets(7) == (7,)


@pytest.mark.parametrize(
    ("interactions", "budgets"), [(9, (3, 3, 3)), (10, (3, 4, 3)), (11, (4, 3, 4)), (1, (0, 1, 0)), (2, (1, 0, 1))]
)
def test_thirds_add_up_without_rounding_loss(interactions: int, budgets: tuple[int, ...]) -> None:
    assert own(THIRD, THIRD, THIRD).budgets(interactions) == budgets


@given(st.integers(0, 100_000), st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_budgets_add_up_and_each_is_within_one_of_its_share(interactions: int, weights: Sequence[int]) -> None:
    scenario = own(*(Fraction(weight, sum(weights)) for weight in weights))
    budgets = scenario.budgets(interactions)

    assert sum(budgets) == interactions
    assert len(budgets) == len(weights)
    for step, budget in zip(scenario.steps, budgets, strict=True):
        assert budget >= 0
        assert abs(budget - step.share * interactions) <= 1


@pytest.mark.parametrize("shares", [(THIRD, THIRD), (Fraction(1), THIRD), (Fraction(999_999, 1_000_000),)], ids=str)
def test_shares_that_do_not_add_up_to_one_are_refused(shares: tuple[Fraction, ...]) -> None:
    with pytest.raises(ValueError, match="add up to"):
        own(*shares)


@pytest.mark.parametrize("shares", [(), (Fraction(0), Fraction(1)), (Fraction(-1), Fraction(2))], ids=str)
def test_step_without_a_share_and_scenario_without_steps_are_refused(shares: tuple[Fraction, ...]) -> None:
    with pytest.raises(ValueError, match="share above 0"):
        own(*shares)


def test_asks_finds_any_of_the_kinds() -> None:
    mixed = SCENARIOS["uncertain+cluster"]

    assert mixed.asks(Ask.CLUSTERS)
    assert mixed.asks(Ask.RANDOM, Ask.UNCERTAIN)
    assert not mixed.asks(Ask.RANDOM)
    assert not mixed.asks()


@pytest.mark.parametrize(
    ("name", "method"), [("ceal", "ceal"), ("pseudo-labels", "confident"), ("label-propagation", "label_propagation")]
)
def test_scenario_with_pseudo_labels_asks_the_model_whatever_its_steps_ask(name: str, method: str) -> None:
    by = SCENARIOS[name].pseudo_labels
    at_random = Scenario(name="own", steps=SCENARIOS["random"].steps, pseudo_labels=by)

    assert by == PseudoLabelsBy(method)
    assert at_random.asks_model
    assert not SCENARIOS["random"].asks_model


def test_clusters_are_formed_for_representatives_too() -> None:
    forming = [name for name, scenario in SCENARIOS.items() if scenario.forms_clusters]

    assert forming == ["cluster-only", "uncertain+cluster", "cluster+uncertain", "representative-only"]
