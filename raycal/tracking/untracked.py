"""What stands in for the tracker where MLflow is not installed."""

import shlex

from raycal.plan import SweepDir
from raycal.tracking.uri import without_secrets


class Untracked:
    """Sends nothing: the run folders hold everything, and `raycal.track` can send it later."""

    backlog = 0
    page = ""

    def start(self) -> None:
        """Begin; there is nothing to do."""

    def changed(self, experiment_id: str) -> None:
        """The run folder of this experiment holds something new, which stays there."""

    def close(self, status: str) -> None:
        """End; there is nothing to wait for."""


def why_untracked(sweep_dir: SweepDir, configured: str | None) -> str:
    """The line that says why nothing is tracked, and how it is sent later.

    Args:
        configured: The tracking URI of the sweep file; None where it names none.
    """
    send = ["python", "-m", "raycal.track", sweep_dir.folder.place]
    if configured:
        send += ["--uri", without_secrets(configured)]
    return f"is not installed, so nothing is tracked; to send it later: pip install mlflow, then {shlex.join(send)}"
