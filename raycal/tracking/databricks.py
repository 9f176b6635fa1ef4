"""Checks that MLflow finds credentials for Databricks. Without this check, MLflow would look for credentials throughout
the sweep."""

from raycal.errors import InputError, one_line, shortened
from raycal.tracking.failures import quiet_mlflow
from raycal.tracking.uri import without_secrets

_HOW = "set DATABRICKS_HOST and DATABRICKS_TOKEN, or run databricks configure, which writes ~/.databrickscfg"


def is_databricks(uri: str) -> bool:
    """Whether the URI refers to a Databricks workspace, whose address and token are stored outside the URI."""
    return uri == "databricks" or uri.startswith("databricks://")


def check_installed(uri: str) -> None:
    """Import the packages that MLflow needs for Databricks, which takes seconds the first time.

    Raises:
        InputError: A package is not installed.
    """
    quiet_mlflow()
    try:
        import databricks.sdk  # noqa: F401
        import mlflow.utils.databricks_utils  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"tracking.uri: {without_secrets(uri)}: the package of Databricks is not installed: "
            "pip install databricks-sdk"
        ) from error


def host(uri: str) -> str:
    """Return the address of the workspace, as MLflow finds it in the environment or in `~/.databrickscfg`.

    Raises:
        InputError: There are no credentials, or the package of Databricks is not installed.
    """
    shown = without_secrets(uri)
    check_installed(uri)
    from mlflow.utils.databricks_utils import get_databricks_host_creds

    try:
        credentials = get_databricks_host_creds(uri)  # type: ignore[no-untyped-call]
    except Exception as error:  # MLflow and the package of Databricks raise various errors.
        profile = uri.partition("://")[2]
        whose = f"for the profile {profile} in ~/.databrickscfg" if profile else "for Databricks"
        said = one_line(error)
        # MLflow raises this message for every problem. The message only tells the user to install packages.
        reason = "" if said.startswith("Reading Databricks credential") else f" ({shortened(said, 200)})"
        raise InputError(f"tracking.uri: {shown}: there are no credentials {whose}{reason}: {_HOW}") from error
    return str(credentials.host).rstrip("/")


def databricks_page(uri: str, page: str) -> str:
    """Return the address of a sweep's runs in the workspace.

    Args:
        page: The path of the runs in the MLflow UI, `/#/experiments/ID/...`.
    """
    return f"{host(uri)}/ml/experiments/{page.split('/')[3]}"
