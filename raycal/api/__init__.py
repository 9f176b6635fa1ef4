"""The public Python API: run sweeps and experiments, read what they left, and draw it.

`raycal` itself offers these names. They are kept here because they use every other part of the package, and `raycal`
imports them only when they are asked for. Nothing in the package imports this folder.
"""

from raycal.api.plot import plot_accuracy
from raycal.api.results import ExperimentResults, SweepResults, read_sweep
from raycal.api.run import run_experiment, run_sweep

__all__ = ["ExperimentResults", "SweepResults", "plot_accuracy", "read_sweep", "run_experiment", "run_sweep"]
