"""raycal finds the annotation strategy that reaches a given accuracy with the fewest human interactions.

    import raycal

    sweep = raycal.run_sweep("birds.yaml", overrides={"grid.seed": [0, 1]}, local=True)
    sweep = raycal.read_sweep("runs/birds")
    sweep.results.groupby(["condition", "interactions"])["test_accuracy"].mean()
    raycal.plot_accuracy(sweep)
    raycal.load("runs/birds/ID").labels

The names in `__all__` are the public API. These names are imported when they are first used, so `import raycal` is
quick. Every other module may change between versions.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raycal.api.load import LoadedRun, load
    from raycal.api.plot import plot_accuracy
    from raycal.api.results import ExperimentResults, SweepResults, read_sweep
    from raycal.api.run import run_experiment, run_sweep
    from raycal.errors import ExperimentFailedError, InputError, RaycalError, StorageError, TakenOverError
    from raycal.pool import PoolView, attach

__version__ = "0.1.0"

__all__ = [
    "ExperimentFailedError",
    "ExperimentResults",
    "InputError",
    "LoadedRun",
    "PoolView",
    "RaycalError",
    "StorageError",
    "SweepResults",
    "TakenOverError",
    "__version__",
    "attach",
    "load",
    "plot_accuracy",
    "read_sweep",
    "run_experiment",
    "run_sweep",
]

_MODULES = {
    "raycal.api.load": ("LoadedRun", "load"),
    "raycal.api.plot": ("plot_accuracy",),
    "raycal.api.results": ("ExperimentResults", "SweepResults", "read_sweep"),
    "raycal.api.run": ("run_experiment", "run_sweep"),
    "raycal.errors": ("ExperimentFailedError", "InputError", "RaycalError", "StorageError", "TakenOverError"),
    "raycal.pool": ("PoolView", "attach"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'raycal' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
