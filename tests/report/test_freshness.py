from pathlib import Path

import pytest
from small_runs import runs, supervised, trial

from raycal.report import freshness
from raycal.report.freshness import is_up_to_date, record
from raycal.report.runs import Runs
from raycal.storage.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "report"))


def made(accuracy: float = 0.9) -> Runs:
    return runs(trial("random", 0, [0.4, accuracy]), supervised(0, 0.95))


def test_only_the_same_runs_are_up_to_date(folder: Folder) -> None:
    assert not is_up_to_date(made(), folder)
    record(made(), folder)

    assert is_up_to_date(made(), folder)
    assert not is_up_to_date(made(0.91), folder)
    assert not is_up_to_date(runs(trial("random", 0, [0.4, 0.9])), folder)


def test_another_version_writes_its_own(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    record(made(), folder)
    monkeypatch.setattr(freshness, "__version__", "0.0.0")

    assert not is_up_to_date(made(), folder)


def test_record_is_not_among_the_files_that_are_listed_and_sent(folder: Folder) -> None:
    record(made(), folder)

    assert folder.all_names() == []
