"""Sends the run folders of a sweep to MLflow. MLflow is only imported when a tracker runs."""

from raycal.tracking.tracker import Tracker, set_up_mlflow
from raycal.tracking.untracked import NoTracker
from raycal.tracking.uri import tracking_uri

__all__ = ["NoTracker", "Tracker", "set_up_mlflow", "tracking_uri"]
