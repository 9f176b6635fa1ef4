"""The content of the Grafana dashboard: rows of panels, each with its PromQL queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SWEEP = 'SessionName=~"$session",sweep="$sweep"'
NODE = 'SessionName=~"$session"'

# The metrics of Ray itself that panels or alerts use. Only nodes with a GPU export the metrics of GPUs.
OF_GPUS = ("ray_node_gpus_utilization", "ray_node_gram_used", "ray_node_gram_available")
OF_RAY = (
    *OF_GPUS,
    "ray_node_cpu_utilization",
    "ray_node_cpu_count",
    "ray_node_mem_used",
    "ray_node_mem_total",
    "ray_node_disk_utilization_percentage",
    "ray_object_store_used_memory",
    "ray_object_store_available_memory",
)


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL query. `legend` is a template that makes the name of each series from its labels."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's name of the panel type: `timeseries`, `stat`, `gauge`, `bargauge`, `xychart`.
        unit: Grafana's name of the unit of the values.
        width: The width in columns; the dashboard has 24.
        thresholds: The colors, each with the value from which on it is shown. None means from the lowest value on.
        overrides: The properties of single fields, by the name of the field.
    """

    title: str
    description: str
    kind: str
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 8
    height: int = 8
    max: float | None = None
    stacked: bool = False
    thresholds: Sequence[tuple[float | None, str]] = ((None, "green"),)
    transformations: Sequence[dict[str, Any]] = ()
    overrides: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def _by(labels: str, metric: str, more: str = "") -> str:
    """A query for a metric of raycal by labels. The metric has one series, or two for a moment after the sweep was
    started again."""
    return f"max by ({labels}) (ray_raycal_{metric}{{{SWEEP}{more}}})"


def _group(metric: str) -> str:
    return _by("dataset, scenario", metric)


def _total(metric: str) -> str:
    return f"sum({_group(metric)})"


def _node(metric: str) -> str:
    return f"ray_{metric}{{{NODE}}}"


def _share(part: str, rest: str) -> str:
    """A query for the share of one of two metrics in their sum, by node."""
    return (
        f"sum by (instance) ({_node(part)}) / (sum by (instance) ({_node(part)}) + sum by (instance) ({_node(rest)}))"
    )


GROUP = "{{dataset}} {{scenario}}"

# The panel has one point per moment: the accuracy of the newest iteration against the interactions of its trial.
_POINTS_BY_SCENARIO = (
    {"id": "merge", "options": {}},
    {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {"dataset": 0, "scenario": 1, "Value #A": 2, "Value #B": 3},
        },
    },
    {
        "id": "partitionByValues",
        "options": {"fields": ["dataset", "scenario"], "keepFields": False, "naming": {"asLabels": False}},
    },
)
_AXES = {
    "Value #A": {"custom.axisLabel": "interactions"},
    "Value #B": {"custom.axisLabel": "test accuracy", "unit": "percentunit", "max": 1},
}

ROWS: dict[str, tuple[Panel, ...]] = {
    "Progress": (
        Panel(
            title="Trials",
            description="Trials by state. After the end of a sweep, no trial is planned or running.",
            kind="stat",
            queries=[Query(_by("state", "trials"), "{{state}}")],
            width=10,
            height=5,
        ),
        Panel(
            title="Iterations done",
            description="Share of the iterations of all trials that are done. Of a trial that ended early, only the "
            "iterations that it ran count.",
            kind="gauge",
            queries=[Query(f"{_total('iterations')} / {_total('planned_iterations')}")],
            unit="percentunit",
            width=5,
            height=5,
            max=1,
        ),
        Panel(
            title="Since the last progress",
            description="Time since an iteration was saved or a trial ended.",
            kind="stat",
            queries=[Query(f"time() - {_by('sweep', 'last_progress_timestamp_seconds')}")],
            unit="s",
            width=5,
            height=5,
            thresholds=((None, "green"), (600, "yellow"), (1800, "red")),
        ),
        Panel(
            title="Restarts",
            description="How often a trial continued after its worker, process or node died.",
            kind="stat",
            queries=[Query(_by("sweep", "restarts"))],
            width=4,
            height=5,
            thresholds=((None, "green"), (1, "yellow")),
        ),
        Panel(
            title="Trials over time",
            description="Trials by state.",
            kind="timeseries",
            queries=[Query(_by("state", "trials"), "{{state}}")],
            width=12,
            stacked=True,
        ),
        Panel(
            title="Iterations",
            description="Number of saved iterations, summed over the trials of a scenario.",
            kind="timeseries",
            queries=[Query(_group("iterations"), GROUP)],
            width=12,
        ),
    ),
    "Accuracy": (
        Panel(
            title="Test accuracy against interactions",
            description="One point per moment and scenario: the test accuracy of the newest iteration, against the "
            "human interactions that its trial had spent by then. All seeds of a scenario share a color.",
            kind="xychart",
            queries=[Query(_group("newest_interactions")), Query(_group("newest_test_accuracy"))],
            width=12,
            height=10,
            transformations=_POINTS_BY_SCENARIO,
            overrides=_AXES,
        ),
        Panel(
            title="Test accuracy over time",
            description="Test accuracy of the newest iteration of the scenario. When several trials run at a time, it "
            "alternates between them.",
            kind="timeseries",
            queries=[Query(_group("newest_test_accuracy"), GROUP)],
            unit="percentunit",
            width=8,
            height=10,
            max=1,
        ),
        Panel(
            title="Best test accuracy",
            description="Highest test accuracy of any iteration so far.",
            kind="bargauge",
            queries=[Query(_group("best_test_accuracy"), GROUP)],
            unit="percentunit",
            width=4,
            height=10,
            max=1,
        ),
    ),
    "Annotation": (
        Panel(
            title="Interactions",
            description="Human interactions spent: images and clusters shown, summed over the trials of a scenario.",
            kind="timeseries",
            queries=[Query(_group("interactions"), GROUP)],
        ),
        Panel(
            title="Annotated images",
            description="Images with a label in the newest iteration of each trial, summed over the trials of a "
            "scenario. Images that got the label of their cluster are included.",
            kind="timeseries",
            queries=[Query(_group("annotated_images"), GROUP)],
        ),
        Panel(
            title="Human time",
            description="Time that the interactions cost the expert, by the cost model or measured.",
            kind="timeseries",
            queries=[Query(_group("human_seconds"), GROUP)],
            unit="s",
        ),
        Panel(
            title="Clusters",
            description="Clusters shown to the expert, and clusters that the expert labeled.",
            kind="timeseries",
            queries=[
                Query(_total("clusters_shown"), "shown"),
                Query(_total("clusters_accepted"), "accepted"),
            ],
        ),
        Panel(
            title="Accepted clusters",
            description="Share of the clusters shown so far that the expert labeled. There is no value until a cluster "
            "was shown.",
            kind="timeseries",
            queries=[Query(f"{_group('clusters_accepted')} / ({_group('clusters_shown')} > 0)", GROUP)],
            unit="percentunit",
            max=1,
        ),
        Panel(
            title="Cluster label error",
            description="Share of wrong labels among the images of the clusters accepted in the newest iteration.",
            kind="timeseries",
            queries=[Query(_group("newest_cluster_label_error"), GROUP)],
            unit="percentunit",
        ),
    ),
    "Time": (
        Panel(
            title="Time by phase",
            description="Time of the workers since the beginning of the sweep, summed over all trials.",
            kind="timeseries",
            queries=[Query(f"sum by (phase) ({_by('dataset, scenario, phase', 'phase_seconds')})", "{{phase}}")],
            unit="s",
            width=10,
            stacked=True,
        ),
        Panel(
            title="Time by scenario and phase",
            description="Time of the workers since the beginning of the sweep, by scenario.",
            kind="bargauge",
            queries=[Query(_by("dataset, scenario, phase", "phase_seconds"), f"{GROUP} {{{{phase}}}}")],
            unit="s",
            width=10,
        ),
        Panel(
            title="Time spent on starting",
            description="Time in which there was room for a trial that had not begun yet, summed over all trials.",
            kind="stat",
            queries=[Query(_by("sweep", "start_seconds"))],
            unit="s",
            width=4,
        ),
    ),
    "Resources": (
        Panel(
            title="CPU",
            description="Busy share of the cores of each node.",
            kind="timeseries",
            queries=[Query(f"max by (instance) ({_node('node_cpu_utilization')})", "{{instance}}")],
            unit="percent",
            max=100,
        ),
        Panel(
            title="Memory",
            description="Used share of the memory of each node or of its container's limit.",
            kind="timeseries",
            queries=[
                Query(
                    f"max by (instance) ({_node('node_mem_used')}) / max by (instance) ({_node('node_mem_total')})",
                    "{{instance}}",
                )
            ],
            unit="percentunit",
            max=1,
        ),
        Panel(
            title="Disk",
            description="Used share of the disk with Ray's temporary folder. Trials fail when it is full.",
            kind="timeseries",
            queries=[Query(f"max by (instance) ({_node('node_disk_utilization_percentage')})", "{{instance}}")],
            unit="percent",
            max=100,
        ),
        Panel(
            title="GPU",
            description="Busy share of each GPU.",
            kind="timeseries",
            queries=[
                Query(
                    f"max by (instance, GpuIndex) ({_node('node_gpus_utilization')})",
                    "{{instance}} GPU {{GpuIndex}}",
                )
            ],
            unit="percent",
            max=100,
        ),
        Panel(
            title="GPU memory",
            description="Used share of each GPU's memory.",
            kind="timeseries",
            queries=[
                Query(
                    f"max by (instance, GpuIndex) ({_node('node_gram_used')}) / "
                    f"(max by (instance, GpuIndex) ({_node('node_gram_used')}) + "
                    f"max by (instance, GpuIndex) ({_node('node_gram_available')}))",
                    "{{instance}} GPU {{GpuIndex}}",
                )
            ],
            unit="percentunit",
            max=1,
        ),
        Panel(
            title="Object store",
            description="Used share of Ray's shared memory on each node.",
            kind="timeseries",
            queries=[Query(_share("object_store_used_memory", "object_store_available_memory"), "{{instance}}")],
            unit="percentunit",
            max=1,
        ),
    ),
    "Tracking": (
        Panel(
            title="Tracking backlog",
            description="Experiments with results that MLflow does not have yet. They are sent when the server "
            "answers; no trial waits for that.",
            kind="timeseries",
            queries=[Query(_by("sweep", "tracking_backlog"), "experiments")],
            width=24,
            height=6,
        ),
    ),
}
