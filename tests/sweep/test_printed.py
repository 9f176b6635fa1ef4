import pytest

from raycal.sweep.printed import how_to_browse


def test_database_is_browsed_with_a_command_that_can_be_pasted() -> None:
    command, page = how_to_browse("sqlite:////my runs/mlflow.db", "/#/experiments/1").splitlines()
    assert command.endswith(" -m mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'")
    assert page.strip() == "then open http://127.0.0.1:5000/#/experiments/1"


@pytest.mark.parametrize("is_set", [True, False])
def test_password_of_a_database_is_not_printed(is_set: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "postgresql://ann:s3cret@host/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri if is_set else "")
    lines = how_to_browse(uri, "/#/experiments/1").splitlines()

    place = '"$MLFLOW_TRACKING_URI"' if is_set else "postgresql://USER:PASSWORD@host/mlflow"
    assert lines[0].endswith(f" -m mlflow ui --backend-store-uri {place}")
    assert ("in place of what is in capitals" in lines[1]) is not is_set
    assert "s3cret" not in "".join(lines)


def test_password_of_a_server_is_not_printed() -> None:
    assert how_to_browse("http://ann:s3cret@host:8080", "/#/x") == "http://host:8080/#/x"


def test_server_is_browsed_at_its_address() -> None:
    assert how_to_browse("http://tracking:8080/", "/#/experiments/1") == "http://tracking:8080/#/experiments/1"


@pytest.mark.parametrize("uri", ["sqlite:////runs/mlflow.db", "http://host:5000", "databricks"])
def test_nothing_is_browsed_where_nothing_was_sent(uri: str) -> None:
    assert how_to_browse(uri, "") == ""
