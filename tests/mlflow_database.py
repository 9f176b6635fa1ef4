"""Makes an MLflow database without runs once in each process, because its tables take seconds to create."""

import shutil
import tempfile
from atexit import register
from functools import cache
from pathlib import Path


@cache
def empty_mlflow_database() -> Path:
    """The file of the database, to be copied."""
    from mlflow import MlflowClient

    folder = tempfile.mkdtemp(prefix="mlflow-")
    register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "mlflow.db")
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path
