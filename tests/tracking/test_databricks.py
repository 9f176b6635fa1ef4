"""Tests the checks before the start of a sweep that is tracked in Databricks."""

import logging
import sys
from pathlib import Path

import pytest
from small_server import server

from raycal.errors import InputError
from raycal.tracking.browse import how_to_browse
from raycal.tracking.reach import AwayError, check_tracking, reach

HOW = "set DATABRICKS_HOST and DATABRICKS_TOKEN, or run databricks configure, which writes ~/.databrickscfg"


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HOST", "TOKEN", "CONFIG_PROFILE", "CONFIG_FILE", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)


@pytest.mark.parametrize(
    ("uri", "whose"),
    [("databricks", "for Databricks"), ("databricks://prod", "for the profile prod in ~/.databrickscfg")],
)
def test_missing_credentials_are_refused_in_one_line_and_nothing_else_is_printed(
    uri: str, whose: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as refused:
        check_tracking(uri)

    assert refused.value.problems == (f"tracking.uri: {uri}: there are no credentials {whose}: {HOW}",)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


def test_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "databricks.sdk", None)
    with pytest.raises(InputError) as refused:
        check_tracking("databricks")

    assert refused.value.problems == (
        "tracking.uri: databricks: the package of Databricks is not installed: pip install databricks-sdk",
    )


def test_workspace_is_named_and_its_runs_are_browsed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "s3cret")
    with server(200) as (place, _):
        monkeypatch.setenv("DATABRICKS_HOST", f"http://{place}")
        assert reach("databricks", 5) == f"Databricks at http://{place}"
        assert (
            how_to_browse("databricks", {"all trials": "/#/experiments/17/runs?x"})
            == f"http://{place}/ml/experiments/17"
        )


def test_profile_of_the_file_is_taken(tmp_path: Path) -> None:
    with server(200) as (place, _):
        (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = http://{place}\ntoken = s3cret\n")
        assert reach("databricks://prod", 5) == f"Databricks at http://{place}"


def test_workspace_that_is_away_is_no_reason_not_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "s3cret")
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")

    with pytest.raises(AwayError, match=r"no answer from the workspace of databricks \(no answer within 0\.5 s\)"):
        reach("databricks", 0.5)
