"""The replacement for the tracker in a sweep that is not tracked."""

import shlex

from raycal.storage.sweep_dir import SweepDir
from raycal.tracking.uri import with_placeholders


class NoTracker:
    """Takes the place of a tracker in a sweep that is not tracked, and sends nothing."""

    backlog = 0

    def start(self) -> None:
        """Do nothing."""

    @property
    def pages(self) -> dict[str, str]:
        """Return no paths, because MLflow has no runs of the sweep."""
        return {}

    def describe(self, text: str) -> None:
        """Do nothing."""

    def changed(self, experiment_id: str) -> None:
        """Do nothing."""

    def close(self, status: str) -> None:
        """Do nothing."""


def why_untracked(sweep_dir: SweepDir, configured: str | None) -> str:
    """The line that says that MLflow is not installed, and how to send the sweep later.

    Args:
        configured: The tracking URI of the sweep file; None if the sweep file has no tracking URI.
    """
    send = ["python", "-m", "raycal.track", sweep_dir.folder.place]
    if configured:
        send += ["--uri", with_placeholders(configured)]
    return f"is not installed, so nothing is tracked; to send it later: pip install mlflow, then {shlex.join(send)}"
