"""The alarms of Prometheus: rules over the metrics of raycal and of Ray's nodes."""

from typing import Any

NO_PROGRESS_SECONDS = 1800
DISK_PERCENT = 90
RESTARTS = 3

_SWEEP = "SessionName, sweep"


def _by_sweep(metric: str, more: str = "") -> str:
    return f"max by ({_SWEEP}) (ray_raycal_{metric}{more})"


def _rule(name: str, expr: str, lasts: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }


RULES = [
    _rule(
        "RaycalNoProgress",
        f"time() - {_by_sweep('last_progress_timestamp_seconds')} > {NO_PROGRESS_SECONDS} "
        f'and on ({_SWEEP}) sum by ({_SWEEP}) (ray_raycal_trials{{state=~"planned|running"}}) > 0',
        "1m",
        "critical",
        "{{ $labels.sweep }}: no progress for {{ $value | humanizeDuration }}",
        "No iteration was saved and no trial ended, although trials are left. The cluster may have no room for a "
        "worker, a worker may hang, or an iteration may take longer than this rule allows.",
    ),
    _rule(
        "RaycalSweepVanished",
        f'max by ({_SWEEP}) (last_over_time(ray_raycal_trials{{state="running"}}[15m])) > 0 '
        f"unless on ({_SWEEP}) ray_raycal_trials and on (SessionName) ray_node_cpu_count",
        "1m",
        "critical",
        "{{ $labels.sweep }}: its process is gone with {{ $value }} trials running",
        "The Ray cluster is there, but nothing drives the sweep; it did not end normally. The same command with "
        "--resume continues it.",
    ),
    _rule(
        "RaycalTrialFailed",
        _by_sweep("trials", '{state="failed"}') + " > 0",
        "0m",
        "warning",
        "{{ $labels.sweep }}: {{ $value }} trials failed",
        "The other trials continue. Each failed trial's folder has the reason in error.txt; --resume retries them.",
    ),
    _rule(
        "RaycalRestarts",
        f"{_by_sweep('restarts')} - min by ({_SWEEP}) (min_over_time(ray_raycal_restarts[30m])) >= {RESTARTS}",
        "0m",
        "warning",
        "{{ $labels.sweep }}: {{ $value }} restarts of trials within 30 minutes",
        "Workers, processes or nodes died; their trials continue from the last iteration. The nodes may lack memory.",
    ),
    _rule(
        "RaycalTrackingBacklog",
        f"{_by_sweep('tracking_backlog')} > 0 and "
        f"{_by_sweep('tracking_backlog')} >= {_by_sweep('tracking_backlog', ' offset 15m')}",
        "10m",
        "warning",
        "{{ $labels.sweep }}: {{ $value }} experiments wait to be sent to MLflow, and their number does not fall",
        "The tracking server is away or too slow. No trial waits for it and nothing is lost.",
    ),
    _rule(
        "RaycalDiskAlmostFull",
        f"max by (SessionName, instance) (ray_node_disk_utilization_percentage) > {DISK_PERCENT}",
        "5m",
        "warning",
        '{{ $labels.instance }}: disk {{ $value | printf "%.0f" }} % full',
        "This is the disk with Ray's temporary folder. Trials that cannot save an iteration fail.",
    ),
]

ALERTS = {"groups": [{"name": "raycal", "rules": RULES}]}
