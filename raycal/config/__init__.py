"""Reads a sweep file into checked values. This package imports neither torch, nor Ray, nor MLflow."""

from raycal.config.component import ComponentConfig
from raycal.config.experiment import DEFAULT_ACQUISITION, ExperimentConfig
from raycal.config.resources import ResourceConfig, TrackingConfig, WorkerSettings
from raycal.config.scheduler import SchedulerConfig
from raycal.config.search import SearchConfig
from raycal.config.sweep import Sweep, load_sweep
from raycal.config.training import DEFAULT_LOSS, TrainingConfig

__all__ = [
    "DEFAULT_ACQUISITION",
    "DEFAULT_LOSS",
    "ComponentConfig",
    "ExperimentConfig",
    "ResourceConfig",
    "SchedulerConfig",
    "SearchConfig",
    "Sweep",
    "TrackingConfig",
    "TrainingConfig",
    "WorkerSettings",
    "load_sweep",
]
