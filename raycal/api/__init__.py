"""The public Python API: run sweeps and experiments, read their results, and draw them.

`raycal` itself offers these names and imports them on first use. They are defined here because they use every other
part of the package. No other part of the package imports this folder.
"""

from raycal.api.load import LoadedRun, load
from raycal.api.plot import plot_accuracy
from raycal.api.results import ExperimentResults, SweepResults, read_sweep
from raycal.api.run import run_experiment, run_sweep

__all__ = [
    "ExperimentResults",
    "LoadedRun",
    "SweepResults",
    "load",
    "plot_accuracy",
    "read_sweep",
    "run_experiment",
    "run_sweep",
]
