"""Checks whether optional packages are installed, which raycal needs only for some features."""

from importlib.util import find_spec

from raycal.errors import InputError


def is_installed(package: str) -> bool:
    """Whether the package can be imported; the check does not import it."""
    return find_spec(package) is not None


def need_ray(*, otherwise: str = "") -> None:
    """Refuse to continue without Ray.

    Args:
        otherwise: What the user can do besides installing Ray.

    Raises:
        InputError: Ray is not installed.
    """
    if not is_installed("ray"):
        raise InputError(f"Ray is not installed: pip install 'ray[default,train,tune]'{otherwise}")


def need_mlflow() -> None:
    """Refuse to continue without MLflow.

    Raises:
        InputError: MLflow is not installed.
    """
    if not is_installed("mlflow"):
        raise InputError("MLflow is not installed: pip install mlflow")
