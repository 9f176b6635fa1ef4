import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import generate
import pytest
import yaml
from alerts import RULES
from panels import OF_RAY, ROWS, Panel
from ray.dashboard.modules.reporter import reporter_agent

from raycal.monitor.sweep_metrics import TABLE
from raycal.storage.run_dir import TrialState

DASHBOARD = generate.dashboard()
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
DRAWN = [(panel.title, query.expr) for panels in ROWS.values() for panel in panels for query in panel.queries]
VARIABLES = [(item["name"], item["definition"]) for item in DASHBOARD["templating"]["list"] if item["type"] == "query"]
EXPRESSIONS = [*DRAWN, *((rule["alert"], rule["expr"]) for rule in RULES)]
# The functions and keywords of PromQL that the dashboard uses.
WORDS = {"and", "by", "max", "min", "offset", "on", "or", "sum", "time", "unless", "last_over_time", "min_over_time"}
OF_SERIES = {"SessionName", "sweep", "instance", "GpuIndex"} | {
    label for metric in TABLE.values() for label in metric.labels
}


def metrics_in(expr: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", expr))


def labels_in(expr: str) -> Iterator[str]:
    for matchers in re.findall(r"\{(.*?)\}", expr):
        yield from re.findall(r"(\w+)\s*[=!]", matchers)
    for names in re.findall(r"\b(?:by|on) \((.*?)\)", expr):
        yield from names.split(", ")


def unparsed(expr: str) -> str:
    """The rest of an expression after everything that is allowed was removed; empty for a valid expression. If promtool
    is installed, another test lets promtool parse the expressions."""
    rest = re.sub(r'"[^"\\]*"', "", expr)
    rest = re.sub(r"\{(\w+(=~|!~|!=|=),?)*\}", "", rest)
    rest = re.sub(r"\[\d+m\]|\b\d+m\b|\b\d+\b", "", rest)
    while (shorter := re.sub(r"\(([^()]*)\)", r" \1 ", rest)) != rest:
        rest = shorter
    words = [word for word in re.findall(r"\w+", rest) if word not in WORDS | OF_SERIES and not word.startswith("ray_")]
    return " ".join(words) + re.sub(r"[\w\s,+\-/*<>=]", "", rest)


def test_files_are_what_generate_writes() -> None:
    for path, content in generate.files().items():
        assert path.read_text(encoding="utf-8") == content, f"python dashboards/{Path(generate.__file__).name}"
    assert json.loads(generate.DASHBOARD_FILE.read_text()) == DASHBOARD
    assert yaml.safe_load(generate.ALERTS_FILE.read_text())["groups"][0]["rules"] == RULES


@pytest.mark.parametrize(("where", "expr"), [*EXPRESSIONS, *VARIABLES])
def test_metrics_exist(where: str, expr: str) -> None:
    names = metrics_in(expr)

    assert names
    assert names <= {f"ray_{name}" for name in TABLE} | set(OF_RAY)


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS)
def test_labels_exist(where: str, expr: str) -> None:
    """The labels of raycal's metrics are in its table of metrics, and every state is a `TrialState`."""
    for name in metrics_in(expr) - set(OF_RAY):
        more = {"SessionName", *TABLE[name.removeprefix("ray_")].labels}
        if len(metrics_in(expr)) == 1:
            assert set(labels_in(expr)) <= more
    for states in re.findall(r'state=~?"(.*?)"', expr):
        assert set(states.split("|")) <= set(TrialState)
    assert set(labels_in(expr)) <= OF_SERIES


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS)
def test_expression_has_nothing_unknown(where: str, expr: str) -> None:
    assert unparsed(expr) == ""


@pytest.mark.parametrize(
    ("expr", "rest"),
    [
        ("max by (sweep) (ray_raycal_trials", "("),
        ("maximum by (sweep) (ray_raycal_trials)", "maximum"),
        ('ray_raycal_trials{state="running}', '{"}'),
        ("ray_raycal_trials[15]", "[]"),
    ],
)
def test_broken_expression_is_caught(expr: str, rest: str) -> None:
    assert set(rest) <= set(unparsed(expr))


def test_every_metric_is_drawn() -> None:
    drawn = {name for _, expr in DRAWN for name in metrics_in(expr)}

    assert {f"ray_{name}" for name in TABLE} - drawn == set()
    assert set(OF_RAY) - drawn - {name for rule in RULES for name in metrics_in(rule["expr"])} == set()


def test_metrics_of_ray_are_those_of_the_version_in_use() -> None:
    of_nodes = {f"ray_{name}" for name in reporter_agent.METRICS_GAUGES}

    assert {name for name in OF_RAY if name.startswith("ray_node_")} <= of_nodes


def test_panels_lie_in_the_grid_and_do_not_overlap() -> None:
    grids = [panel["gridPos"] for panel in PANELS]
    assert len(grids) > 20
    assert all(grid["x"] >= 0 and grid["x"] + grid["w"] <= 24 and grid["w"] > 0 and grid["h"] > 0 for grid in grids)
    for one, two in combinations(grids, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or above, (one, two)


def test_lines_of_panels_leave_no_gap() -> None:
    cells = {(x, y) for panel in PANELS for x, y in _cells(panel["gridPos"])}

    assert len(cells) == 24 * (max(y for _, y in cells) + 1)


def _cells(grid: dict[str, int]) -> Iterator[tuple[int, int]]:
    return ((x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"]))


def test_ids_titles_and_targets_are_unique() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({rule["alert"] for rule in RULES}) == len(RULES) == 6
    for panel in PANELS:
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(refs) == len(set(refs)) == (0 if panel["type"] == "row" else max(len(refs), 1))


def test_every_panel_asks_the_chosen_data_source_for_the_chosen_session() -> None:
    drawn = [panel for panel in PANELS if panel["type"] != "row"]
    assert [panel["title"] for panel in drawn] == [panel.title for panels in ROWS.values() for panel in panels]
    for panel in drawn:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["description"].endswith(".")
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            series = len(re.findall(r"\bray_\w+\{", target["expr"]))
            assert series == len(re.findall(r"\bray_\w+", target["expr"]))
            assert series == target["expr"].count('SessionName=~"$session"')
            assert target["expr"].count("ray_raycal_") == target["expr"].count('sweep="$sweep"')


def test_variables_come_before_those_that_use_them() -> None:
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]

    assert names == ["datasource", "session", "sweep"]
    for name, definition in VARIABLES:
        assert set(re.findall(r"\$(\w+)", definition)) <= set(names[: names.index(name)])


def test_alerts_say_which_sweep_or_node_and_how_bad_it_is() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        used = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        assert used in (["sweep"], ["instance"])
        assert re.search(rf"by \([^)]*\b{used[0]}\b[^)]*\)", rule["expr"])


def test_legend_names_only_labels_of_its_query() -> None:
    for panels in ROWS.values():
        for panel in panels:
            _check_legends(panel)


def _check_legends(panel: Panel) -> None:
    for query in panel.queries:
        grouped = {label for names in re.findall(r"by \((.*?)\)", query.expr) for label in names.split(", ")}
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= grouped
