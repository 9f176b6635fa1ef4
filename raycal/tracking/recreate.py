"""Creates the runs of a sweep in MLflow from its folder alone."""

from raycal.storage.run_dir import TrialState
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.tracking.projection import Projection


def recreate(uri: str, sweep_dir: SweepDir, plan: SweepPlan, description: str = "") -> dict[str, str]:
    """Send everything of a sweep that MLflow lacks; a second call changes nothing.

    Args:
        uri: The tracking URI.
        sweep_dir: The folder of the sweep.
        plan: The plan in the folder.
        description: The description of the sweep's run, in Markdown; empty if it is not to be changed.

    Returns:
        The paths of the sweep's views in the MLflow UI, by the titles of the views.

    Raises:
        MlflowException: The server does not answer, or it refuses the request.
    """
    projection = Projection(uri, sweep_dir, plan.sweep)
    for experiment_id, config in plan.experiments.items():
        projection.send(experiment_id, config)
    if description:
        projection.describe(description)
    projection.end(_status(sweep_dir, plan))
    return projection.pages


def _status(sweep_dir: SweepDir, plan: SweepPlan) -> str:
    """The MLflow status of the sweep, as far as its folder shows it; trials that never began are ignored."""
    states = {sweep_dir.run_dir(key).state() for key in plan.asked} - {TrialState.PLANNED}
    left = {state for state in states if not state.is_complete}
    if not left:
        return "FINISHED"
    return "FAILED" if left == {TrialState.FAILED} else "KILLED"
