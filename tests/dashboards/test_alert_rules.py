"""Tests when each alarm goes off, with promtool's test runner on made-up series."""

import shutil
import subprocess
from pathlib import Path

import generate
import pytest
import yaml
from alerts import RULES

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")

SWEEP = '{SessionName="s",sweep="tiny"}'
NODE = '{SessionName="s",instance="i"}'


def trials(state: str) -> str:
    return f'ray_raycal_trials{{SessionName="s",sweep="tiny",state="{state}"}}'


def firing(tmp_path: Path, alert: str, minute: int, series: dict[str, str]) -> bool:
    """Whether an alarm is on at a minute. The series are in promtool's notation, with one value per minute."""
    rule = next(rule for rule in RULES if rule["alert"] == alert)
    (tmp_path / "alerts.yml").write_text(generate.ALERTS_FILE.read_text())
    alarms = f'ALERTS{{alertname="{alert}",alertstate="firing",severity="{rule["labels"]["severity"]}"}}'
    expected = {"eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": f"count({alarms}) or vector(0)", **expected}],
    }
    content = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(content))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0 or "got:" in output, output
    return done.returncode == 0


# The clock of a test begins at 0, so the time stamp 0 is the beginning of the first minute.
@pytest.mark.parametrize(
    ("minute", "progress", "left", "expected"),
    [
        (30, "0x60", "1x60", False),
        (32, "0x60", "1x60", True),
        (32, "0x20 1200x40", "1x60", False),
        (55, "0x20 1200x40", "1x60", True),
        (40, "0x60", "0x60", False),  # The sweep has ended.
        (40, "0x10 _x50", "1x10 _x50", False),  # The process of the sweep has died, which another alarm reports.
    ],
)
def test_no_progress(tmp_path: Path, minute: int, progress: str, left: str, expected: bool) -> None:
    for state in ("running", "planned"):
        series = {f"ray_raycal_last_progress_timestamp_seconds{SWEEP}": progress, trials(state): left}
        assert firing(tmp_path, "RaycalNoProgress", minute, series) is expected


@pytest.mark.parametrize(
    ("minute", "running", "node", "expected"),
    [
        (12, "2x5 stale _x30", "4x60", True),
        (12, "2x5 0 stale _x30", "4x60", False),  # The sweep ended in order.
        (12, "2x5 stale _x30", "4x5 stale _x30", False),  # The Ray cluster of the sweep ended, too.
        (12, "2x60", "4x60", False),
        (40, "2x5 stale _x60", "4x60", False),  # The process died long ago.
    ],
)
def test_vanished_sweep(tmp_path: Path, minute: int, running: str, node: str, expected: bool) -> None:
    series = {trials("running"): running, f"ray_node_cpu_count{NODE}": node}

    assert firing(tmp_path, "RaycalSweepVanished", minute, series) is expected


@pytest.mark.parametrize(("failed", "expected"), [("0x20", False), ("0 0 1x20", True)])
def test_failed_trial(tmp_path: Path, failed: str, expected: bool) -> None:
    series = {trials("failed"): failed, trials("finished"): "3x20"}

    assert firing(tmp_path, "RaycalTrialFailed", 10, series) is expected


@pytest.mark.parametrize(
    ("restarts", "expected"),
    [("0x40", False), ("0 1 2x40", False), ("0 1 2 3x40", True), ("7x40", False), ("0 3x60", True)],
)
def test_restarts(tmp_path: Path, restarts: str, expected: bool) -> None:
    assert firing(tmp_path, "RaycalRestarts", 25, {f"ray_raycal_restarts{SWEEP}": restarts}) is expected


def test_restarts_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    assert not firing(tmp_path, "RaycalRestarts", 45, {f"ray_raycal_restarts{SWEEP}": "0 3x60"})


@pytest.mark.parametrize(
    ("minute", "backlog", "expected"),
    [
        (20, "2x60", False),
        (30, "2x60", True),
        (30, "0+1x60", True),
        (30, "40-1x60", False),  # The backlog is shrinking.
        (40, "2x30 0x30", False),
        (30, "0x60", False),
    ],
)
def test_backlog(tmp_path: Path, minute: int, backlog: str, expected: bool) -> None:
    series = {f"ray_raycal_tracking_backlog{SWEEP}": backlog}

    assert firing(tmp_path, "RaycalTrackingBacklog", minute, series) is expected


@pytest.mark.parametrize(("percent", "expected"), [("90x20", False), ("91x20", True), ("91x8 50x20", False)])
def test_disk(tmp_path: Path, percent: str, expected: bool) -> None:
    series = {f"ray_node_disk_utilization_percentage{NODE}": percent}

    assert firing(tmp_path, "RaycalDiskAlmostFull", 10, series) is expected
