import os
from pathlib import Path

import pytest

from raycal.storage.folder import Folder
from raycal.tracking.sent import RECORDS, pages_if_sent, record_name, write_record

PAGES = {"all trials": "/#/experiments/1"}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    (tmp_path / "mlflow.db").write_bytes(b"runs")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def records(raycal_cache: Path) -> Path:
    return raycal_cache / RECORDS


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder.at(str(tmp_path / "runs" / "tiny"))
    folder.write("plan.json", b"{}")
    folder.write("trial/results.jsonl", b"1")
    return folder


def test_record_holds_while_nothing_changes(folder: Folder, uri: str) -> None:
    before = folder.stamps()
    assert pages_if_sent(folder, uri, "FINISHED", "text") is None
    write_record(folder, uri, "FINISHED", "text", PAGES)

    assert pages_if_sent(folder, uri, "FINISHED", "text") == PAGES
    assert folder.stamps() == before


def test_other_status_description_or_place_has_no_record(folder: Folder, uri: str, tmp_path: Path) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    (tmp_path / "other.db").write_bytes(b"runs")

    assert pages_if_sent(folder, uri, "FAILED", "text") is None
    assert pages_if_sent(folder, uri, "FINISHED", "other text") is None
    assert pages_if_sent(folder, uri.replace("mlflow.db", "other.db"), "FINISHED", "text") is None


@pytest.mark.parametrize("name", ["plan.json", "trial/results.jsonl", "report/report.html"])
def test_file_that_was_written_since_ends_the_record(name: str, folder: Folder, uri: str) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    folder.write(name, folder.read(name) or b"new")

    assert pages_if_sent(folder, uri, "FINISHED", "text") is None


def test_file_that_was_removed_since_ends_the_record(folder: Folder, uri: str) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    folder.remove("trial/results.jsonl")

    assert pages_if_sent(folder, uri, "FINISHED", "text") is None


def test_database_that_was_changed_or_removed_ends_the_record(folder: Folder, uri: str, tmp_path: Path) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    before = (tmp_path / "mlflow.db").stat()
    os.utime(tmp_path / "mlflow.db", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert pages_if_sent(folder, uri, "FINISHED", "text") is None

    (tmp_path / "mlflow.db").unlink()
    assert pages_if_sent(folder, uri, "FINISHED", "text") is None


def test_server_has_no_record_because_its_changes_cannot_be_seen(folder: Folder, records: Path) -> None:
    write_record(folder, "http://localhost:5000", "FINISHED", "text", PAGES)

    assert not records.exists()
    assert pages_if_sent(folder, "http://localhost:5000", "FINISHED", "text") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"digest": 1}', b"\xff\xfe"])
def test_damaged_record_is_as_good_as_none(content: bytes, folder: Folder, uri: str, records: Path) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    (records / record_name(folder, uri)).write_bytes(content)

    assert pages_if_sent(folder, uri, "FINISHED", "text") is None


def test_pages_that_are_no_pages_are_not_used(folder: Folder, uri: str, records: Path) -> None:
    write_record(folder, uri, "FINISHED", "text", PAGES)
    file = records / record_name(folder, uri)
    file.write_bytes(file.read_bytes().replace(b'{"all trials": "/#/experiments/1"}', b"[1]"))

    assert pages_if_sent(folder, uri, "FINISHED", "text") is None
