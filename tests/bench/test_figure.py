import json
import math

import pytest

from raycal.bench.figure import Figure, Goal
from raycal.bench.table import as_json, lines


@pytest.mark.parametrize(
    ("sign", "value", "met"),
    [("<=", 1.02, True), ("<=", 1.03, True), ("<=", 1.04, False), (">=", 1.02, False), (">=", 1.03, True)],
)
def test_goal_is_met_at_its_value_and_beyond(sign: str, value: float, met: bool) -> None:
    assert Goal(sign, 1.03).is_met(value) is met
    assert Figure(benchmark="b", name="n", value=value, goal=Goal(sign, 1.03)).verdict == ("met" if met else "not met")


@pytest.mark.parametrize("sign", ["<=", ">="])
def test_what_is_not_a_number_meets_no_goal(sign: str) -> None:
    assert not Goal(sign, 1.0).is_met(math.nan)


def test_figure_without_a_goal_is_not_judged() -> None:
    assert Figure(benchmark="b", name="n", value=1.0).verdict == ""


FIGURES = [
    Figure(benchmark="scoring", name="CPU, script / raycal", value=4.25, goal=Goal(">=", 3.0)),
    Figure(benchmark="input", name="raycal", value=12345.6, unit="img/s"),
    Figure(benchmark="rerun", name="again", value=0.02, goal=Goal("<=", 0.01), arms={"first": [2.0, 3.0]}),
]


def test_table_has_the_goal_beside_the_figure() -> None:
    assert lines(FIGURES) == [
        "benchmark  figure                    value         goal",
        "scoring    CPU, script / raycal       4.25  x      >= 3     met",
        "input      raycal                1.235e+04  img/s",
        "rerun      again                      0.02  x      <= 0.01  not met",
    ]


def test_json_holds_all_that_is_known() -> None:
    read = json.loads(as_json(FIGURES, {"date": "2026-11-23", "machine": {"cores": 2}}))

    assert (read["date"], read["machine"]) == ("2026-11-23", {"cores": 2})
    assert [figure["verdict"] for figure in read["figures"]] == ["met", "", "not met"]
    assert read["figures"][2] == {
        "benchmark": "rerun",
        "name": "again",
        "value": 0.02,
        "unit": "x",
        "goal": {"sign": "<=", "value": 0.01},
        "arms": {"first": [2.0, 3.0]},
        "setting": {},
        "verdict": "not met",
    }
