"""Writes the Grafana dashboard and the Prometheus alert rules: `python dashboards/generate.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import yaml
from alerts import ALERTS
from panels import ROWS, Panel, Query

FOLDER = Path(__file__).parent
DASHBOARD_FILE, ALERTS_FILE = FOLDER / "raycal.json", FOLDER / "alerts.yml"
COLUMNS = 24
SCHEMA_VERSION = 39  # The version of Grafana 11's schema, which later versions of Grafana read, too.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Panels of these kinds show the value at the end of the time range.
AT_ONE_MOMENT = ("stat", "gauge", "bargauge")


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "annotations": {"list": []},
        "description": "Sweeps of active learning with cluster annotation",
        "editable": True,
        "graphTooltip": 1,
        "links": [],
        "panels": list(_panels()),
        "refresh": "10s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["raycal", "ray"],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("session", "Ray session", "label_values(ray_raycal_trials, SessionName)")
                | {"includeAll": True, "allValue": ".+", "current": {"text": "All", "value": "$__all"}},
                _variable("sweep", "Sweep", 'label_values(ray_raycal_trials{SessionName=~"$session"}, sweep)'),
            ]
        },
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "title": "raycal",
        "uid": "raycal",
        "version": 1,
    }


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    """A dashboard variable with the values of a label. Grafana looks the values up again when the time range
    changes."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": False,
        "multi": False,
    }


def _panels() -> Iterator[dict[str, Any]]:
    """Place the panels row by row, from left to right, and begin a new line where the next panel has no room."""
    number, y = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }
        y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            grid = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": grid, **_panel(panel)}
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            _target(query, ref, panel.kind) for query, ref in zip(panel.queries, ascii_uppercase, strict=False)
        ],
        "transformations": list(panel.transformations),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel.kind),
    }


def _target(query: Query, ref: str, kind: str) -> dict[str, Any]:
    at_one_moment = kind in AT_ONE_MOMENT
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": at_one_moment,
        "range": not at_one_moment,
        "format": "table" if kind == "xychart" else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.thresholds]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.kind in ("stat", "gauge") else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "min": 0,
    }
    if panel.max is not None:
        defaults["max"] = panel.max
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 40 if panel.stacked else 0
        defaults["custom"] = {"fillOpacity": fill, "lineWidth": 1, "showPoints": "never", "stacking": stacking}
    if panel.kind == "xychart":
        defaults["custom"] = {"show": "points", "pointSize": {"fixed": 5}}
    return defaults


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value} for key, value in properties.items()],
        }
        for name, properties in panel.overrides.items()
    ]


def _options(kind: str) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    match kind:
        case "timeseries":
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "xychart":
            return {"mapping": "auto", "series": [{}], "legend": legend, "tooltip": {"mode": "single", "sort": "none"}}
        case "bargauge":
            return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": last, "showUnfilled": True}
        case "gauge":
            return {"reduceOptions": last, "showThresholdLabels": False, "showThresholdMarkers": False}
        case _:
            return {"reduceOptions": last, "colorMode": "value", "graphMode": "none", "textMode": "auto"}


def files() -> dict[Path, str]:
    """The content that each generated file should have."""
    head = "# Written by generate.py from alerts.py.\n"
    return {
        DASHBOARD_FILE: json.dumps(dashboard(), indent=2) + "\n",
        ALERTS_FILE: head + yaml.safe_dump(ALERTS, sort_keys=False, width=10_000),
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
