"""MLflow as a projection of the run folders. MLflow is imported when a tracker runs."""

from raycal.tracking.tracker import Tracker, tracking_uri

__all__ = ["Tracker", "tracking_uri"]
