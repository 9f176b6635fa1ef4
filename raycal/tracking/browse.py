"""Says how to open a sweep's charts in a browser."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from raycal.tracking.databricks import databricks_page, is_databricks
from raycal.tracking.uri import has_secrets, is_server, with_placeholders, without_secrets

_LOCAL = "http://127.0.0.1:5000"  # `mlflow ui` serves at this address by default.


def page_paths(experiment_id: str, views: Mapping[str, str]) -> dict[str, str]:
    """The paths of a sweep's charts in the MLflow UI, by the titles of the views.

    Args:
        experiment_id: The id of the MLflow experiment.
        views: The keys of the sweep's views, by the titles of the views. If MLflow accepted no view, this is empty, and
            the only path opens the charts that MLflow itself chooses.
    """
    # Without `workflowType`, MLflow 3 opens its pages for language models, which show no metrics.
    charts = f"/#/experiments/{experiment_id}/runs?compareRunsMode=CHART&workflowType=machine_learning"
    if not views:
        return {"all trials": charts}
    return {title: f"{charts}&viewStateShareKey={key}" for title, key in views.items()}


def how_to_browse(uri: str, pages: Mapping[str, str]) -> str:
    """How to view the runs in a browser: the address on a server, or the command that serves a database.

    Args:
        uri: The tracking URI.
        pages: The paths of the sweep's views in the MLflow UI, by the titles of the views. The view of all trials comes
            first. Empty if MLflow has nothing of the sweep.

    Returns:
        Lines to print; empty if there is nothing to view.
    """
    if not pages:
        return ""
    page = next(iter(pages.values()))
    if is_databricks(uri):
        return databricks_page(uri, page)
    if is_server(uri):
        server = without_secrets(uri).rstrip("/")
        return _with_others(server + page, server, pages)
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = shlex.join([str(python), "-m", "mlflow", "ui", "--backend-store-uri", with_placeholders(uri)])
    # The password is not printed. If the environment variable holds the same URI, the command refers to the variable.
    if has_secrets(uri):
        if os.environ.get("MLFLOW_TRACKING_URI", "").strip() == uri:
            command = command.replace(shlex.quote(with_placeholders(uri)), '"$MLFLOW_TRACKING_URI"')
        else:
            command += (
                "\n        with your own in place of what is in capitals, as in tracking.uri: passwords are not printed"
            )
    return _with_others(f"{command}\n        then open {_LOCAL}{page}", _LOCAL, pages)


def _with_others(lines: str, server: str, pages: Mapping[str, str]) -> str:
    """Add a line for each further view."""
    others = [f"        or, for {title}: {server}{page}" for title, page in list(pages.items())[1:]]
    return "\n".join([lines, *others])
