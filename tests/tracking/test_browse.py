import pytest

from raycal.tracking.browse import how_to_browse, page_paths

PAGE = {"all trials": "/#/experiments/1"}
TWO = PAGE | {"dataset birds": "/#/experiments/1?birds"}


def test_database_is_browsed_with_a_command_that_can_be_pasted() -> None:
    command, page = how_to_browse("sqlite:////my runs/mlflow.db", PAGE).splitlines()
    assert command.endswith(" -m mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'")
    assert page.strip() == "then open http://127.0.0.1:5000/#/experiments/1"


@pytest.mark.parametrize("is_set", [True, False])
def test_password_of_a_database_is_not_printed(is_set: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "postgresql://ann:s3cret@host/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri if is_set else "")
    lines = how_to_browse(uri, PAGE).splitlines()

    place = '"$MLFLOW_TRACKING_URI"' if is_set else "postgresql://USER:PASSWORD@host/mlflow"
    assert lines[0].endswith(f" -m mlflow ui --backend-store-uri {place}")
    assert ("in place of what is in capitals" in lines[1]) is not is_set
    assert "s3cret" not in "".join(lines)


def test_password_of_a_server_is_not_printed() -> None:
    lines = how_to_browse("http://ann:s3cret@host:8080", TWO)
    assert lines.splitlines()[0] == "http://host:8080/#/experiments/1"
    assert "s3cret" not in lines


def test_server_is_browsed_at_its_address() -> None:
    assert how_to_browse("http://tracking:8080/", PAGE) == "http://tracking:8080/#/experiments/1"


@pytest.mark.parametrize(
    ("uri", "server"), [("http://tracking:8080/", "http://tracking:8080"), ("sqlite:////a.db", "http://127.0.0.1:5000")]
)
def test_every_further_view_has_a_line(uri: str, server: str) -> None:
    *_, first, second = how_to_browse(uri, TWO).splitlines()
    assert first.endswith(f"{server}/#/experiments/1")
    assert second.strip() == f"or, for dataset birds: {server}/#/experiments/1?birds"


@pytest.mark.parametrize("uri", ["sqlite:////runs/mlflow.db", "http://host:5000", "databricks"])
def test_nothing_is_browsed_where_nothing_was_sent(uri: str) -> None:
    assert how_to_browse(uri, {}) == ""


def test_page_opens_a_view_or_the_charts_of_mlflow_if_it_took_no_view() -> None:
    charts = "/#/experiments/7/runs?compareRunsMode=CHART&workflowType=machine_learning"
    assert page_paths("7", {"all trials": "k", "dataset a": "k-a"}) == {
        "all trials": f"{charts}&viewStateShareKey=k",
        "dataset a": f"{charts}&viewStateShareKey=k-a",
    }
    assert page_paths("7", {}) == {"all trials": charts}
