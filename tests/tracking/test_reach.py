import shutil
import socket
from pathlib import Path
from time import monotonic

import pytest
from small_server import server

from raycal.errors import InputError
from raycal.tracking.reach import no_answer, reach
from raycal.tracking.uri import is_server, without_secrets


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def test_server_that_answers() -> None:
    with server(200) as (place, asked):
        assert reach(f"http://{place}/", 5) == f"an MLflow server answers at http://{place}/"

    assert asked == [("/api/2.0/mlflow/experiments/search?max_results=1", None)]


def test_user_is_told_to_the_server_and_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(401) as (place, asked):
        with pytest.raises(
            InputError,
            match=rf"the server at http://{place} refuses the credentials \(401\): set MLFLOW",
        ):
            reach(f"http://ann:secret@{place}", 5)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t")
        with pytest.raises(InputError):
            reach(f"http://{place}", 5)

    assert [who for _, who in asked] == ["Basic YW5uOnNlY3JldA==", "Bearer t"]
    assert without_secrets("http://ann:secret@host:5000/x") == "http://host:5000/x"


def test_server_that_is_not_mlflow() -> None:
    with server(404) as (place, _), pytest.raises(InputError, match="answers 404 Not Found: is it MLflow"):
        reach(f"http://{place}", 5)


def test_server_that_takes_the_call_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = monotonic()
        with pytest.raises(InputError, match=r"no answer from http://127.* \(.*timed out\): start the server"):
            reach(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)

    assert monotonic() - begin < 5


def test_server_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"no answer from http://127\.0\.0\.1:1 \(.*refused"):
        reach("http://127.0.0.1:1", 5)


def test_databases(tmp_path: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    (tmp_path / "text.db").write_text("hello, this is no database at all" * 100)

    assert reach(f"sqlite:///{tmp_path}/mlflow.db", 5) == f"the database {tmp_path}/mlflow.db"
    assert reach(f"sqlite:///{tmp_path}/new.db", 5) == f"the database {tmp_path}/new.db, which the sweep makes"
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(InputError, match=r"text\.db: no database of MLflow \(file is not a database\)"):
        reach(f"sqlite:///{tmp_path}/text.db", 5)


@pytest.mark.parametrize(("code", "reason"), [(200, ""), (401, ""), (404, ""), (502, "502 Bad Gateway")])
def test_anything_but_a_broken_proxy_is_an_answer(code: int, reason: str) -> None:
    with server(code) as (place, asked):
        assert no_answer(f"http://ann:secret@{place}", 5) == reason

    assert [authorization for _, authorization in asked] == [None]


def test_no_answer_has_its_reason() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "refused" in no_answer(f"http://127.0.0.1:{free.getsockname()[1]}", 5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in no_answer(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2)
    assert no_answer("https://[no-address", 5) == "Invalid IPv6 URL"


@pytest.mark.parametrize(("uri", "expected"), [("https://h", True), ("sqlite:///x", False), ("databricks", False)])
def test_server_is_told_from_other_places(uri: str, expected: bool) -> None:
    assert is_server(uri) is expected
