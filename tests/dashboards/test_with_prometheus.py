"""Tests the dashboard and the alarms with a real Prometheus that scrapes a sweep on Ray: every query of a panel returns
values, and an alarm goes off."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import generate
import pytest
import yaml
from alerts import NO_PROGRESS_SECONDS
from panels import OF_GPUS, ROWS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs the prometheus binary (Debian: prometheus)"),
]
SWEEP = """
name: scraped
experiment:
  dataset: {name: digits, train_size: 200, test_size: 100}
  model: {weights: none}
  iterations: 30
  interactions_per_iteration: 4
  expert: {purity_threshold: 0.2}
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
grid:
  scenario: [cluster+uncertain, random]
  seed: [0, 1, 2]
"""
START_SECONDS, WAIT_SECONDS = 400, 60
EXPRESSIONS = {
    f"{panel.title} {number}": query.expr
    for panels in ROWS.values()
    for panel in panels
    for number, query in enumerate(panel.queries)
}


def with_variables(expr: str) -> str:
    return expr.replace("$session", ".+").replace("$sweep", "scraped")


class Prometheus:
    """A server that scrapes what Ray writes into its service discovery file."""

    def __init__(self, folder: Path, targets: Path) -> None:
        rules = generate.ALERTS_FILE.read_text()
        hasty = rules.replace(f"> {NO_PROGRESS_SECONDS} ", "> 1 ").replace("for: 1m", "for: 1s")
        assert hasty.count("> 1 ") == 1
        (folder / "alerts.yml").write_text(hasty)
        config = {
            "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "alerts.yml")],
            "scrape_configs": [
                {"job_name": "ray", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "2s"}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--log.level=error",
            ]
        )

    def get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The current series of an expression. Each has its labels under `metric`, and time and text under `value`."""
        found: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return found

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # The path is short, because the path of a socket of Ray can have at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="rm", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "scraped.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "raycal.sweep", str(folder / "scraped.yaml"), "--storage", str(folder / "runs")]
    environment = {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local", "RAY_TMPDIR": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | environment)
    yield process
    process.send_signal(signal.SIGINT)
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_until(condition: Callable[[], bool], sweep: subprocess.Popen[bytes], seconds: float) -> None:
    end = monotonic() + seconds
    while not holds(condition):
        assert sweep.poll() is None, "the sweep is over"
        assert monotonic() < end, "waited in vain"
        sleep(1)


def holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except urllib.error.URLError:  # The server has not started yet.
        return False


@pytest.fixture(scope="module")
def prometheus(folder: Path, sweep: subprocess.Popen[bytes]) -> Iterator[Prometheus]:
    targets = folder / "ray" / "prom_metrics_service_discovery.json"
    wait_until(targets.exists, sweep, START_SECONDS)
    server = Prometheus(folder, targets)
    yield server
    server.process.terminate()
    server.process.wait(30)


def test_every_panel_shows_something(prometheus: Prometheus, sweep: subprocess.Popen[bytes]) -> None:
    has_gpu = shutil.which("nvidia-smi") is not None
    missing = {title for title, expr in EXPRESSIONS.items() if has_gpu or not re.search("|".join(OF_GPUS), expr)}
    assert len(missing) >= len(EXPRESSIONS) - 2
    answers: dict[str, list[dict[str, Any]]] = {}

    def all_there() -> bool:
        for title in sorted(missing - set(answers)):
            if found := prometheus.query(with_variables(EXPRESSIONS[title])):
                answers[title] = found
        return missing <= set(answers)

    error = "ray_raycal_newest_cluster_label_error"
    # Prometheus has this metric once a trial has finished its first iteration with clusters.
    wait_until(lambda: bool(prometheus.query(error)), sweep, START_SECONDS)
    wait_until(all_there, sweep, WAIT_SECONDS)
    for title, found in answers.items():
        values = [f"{' '.join(series['metric'].values())} {float(series['value'][1]):.4g}" for series in found]
        print(f"{title}: {with_variables(EXPRESSIONS[title])}\n    {'; '.join(values)}")
    states = {series["metric"]["state"]: float(series["value"][1]) for series in answers["Trials 0"]}
    assert set(states) == {"planned", "running", "finished", "stopped", "failed"}
    assert sum(states.values()) == 6
    # There is one series for each of these groups, so no label that Ray adds splits a series.
    assert {len(answers[title]) for title in ("Iterations done 0", "Restarts 0", "Tracking backlog 0")} == {1}


def test_variables_have_values(prometheus: Prometheus, sweep: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: bool(prometheus.query("ray_raycal_trials")), sweep, START_SECONDS)
    sessions = prometheus.get("label/SessionName/values", **{"match[]": "ray_raycal_trials"})

    assert len(sessions) == 1
    assert prometheus.get(
        "label/sweep/values", **{"match[]": f'ray_raycal_trials{{SessionName=~"{sessions[0]}"}}'}
    ) == ["scraped"]


def test_rules_are_read_and_an_alarm_goes_off(prometheus: Prometheus, sweep: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: "RaycalNoProgress" in prometheus.firing(), sweep, START_SECONDS)
    rules = prometheus.get("rules")["groups"][0]["rules"]

    assert [(rule["health"], rule.get("lastError", "")) for rule in rules] == [("ok", "")] * 6
    for alert in prometheus.get("alerts")["alerts"]:
        print(alert["state"], alert["labels"], alert["annotations"]["summary"], alert["value"])
    assert prometheus.firing() <= {"RaycalNoProgress", "RaycalDiskAlmostFull"}


def test_promtool_accepts_rules_and_panels(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel_{number}", "expr": with_variables(expr)} for number, expr in enumerate(EXPRESSIONS.values())
    ]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    for path in (generate.ALERTS_FILE, tmp_path / "panels.yml"):
        checked = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True)

        assert checked.returncode == 0, checked.stdout + checked.stderr
