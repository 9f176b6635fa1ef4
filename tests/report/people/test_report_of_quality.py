"""Tests what the report of a labeling project says about the quality of the labels."""

import csv
import html
import io
import re
from pathlib import Path

import pytest
from labeled_folder import label_folder

from raycal.people.results import wilson_interval
from raycal.report.__main__ import main
from raycal.storage.sweep_dir import SweepDir


def page_of(sweep_dir: SweepDir) -> str:
    return (sweep_dir.folder.folder("report").read("report.html") or b"").decode()


def words(page: str) -> str:
    """The text of the page without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def table(sweep_dir: SweepDir, name: str) -> list[list[str]]:
    """The rows of a table without the project."""
    content = (sweep_dir.folder.folder("report").read(f"tables/{name}.csv") or b"").decode()
    return [row[1:] for row in csv.reader(io.StringIO(content))][1:]


def test_report_has_agreement_confusions_and_label_error(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path, rounds=1, with_checks=True)
    assert main([sweep_dir.folder.place]) == 0

    low, high = wilson_interval(0.1, 10) or (0.0, 1.0)
    ((share, *interval, checked, wrong),) = table(sweep_dir, "label_error")
    # Images 0 to 9 are in clusters of 4 and 5 images, which are in one stratum.
    assert (float(share), checked, wrong) == (pytest.approx(0.1), "10", "1")
    assert [float(one) for one in interval] == pytest.approx([low, high])
    assert [row[:3] for row in table(sweep_dir, "agreement")] == [
        ["the same person", "1", "1"],
        ["two people", "2", "1"],
    ]
    assert table(sweep_dir, "confusions") == [["wren", "robin", "1"]]
    text = words(page_of(sweep_dir))
    assert "Label error of cluster labels" in text
    assert f"0.100 [{low:.3f}, {high:.3f}]" in text
    assert "Krippendorff's alpha of all labels of people is 0.000." in text
    assert "person-1" not in text
    assert "owner" not in text
    assert ["check: repeated", "single image", "counts", "1", "2"] in table(sweep_dir, "time")
    assert ["check: audit of clusters", "single image", "counts", "10", "20"] in table(sweep_dir, "time")


def test_report_counts_the_labels_that_were_looked_at_again(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path, rounds=2, with_looks=True)
    assert main([sweep_dir.folder.place]) == 0

    assert table(sweep_dir, "looks") == [["3", "1", "1", "1"]]
    text = words(page_of(sweep_dir))
    at = text.index("Labels that people looked at again")
    assert "looked at again label changed label stayed nobody can tell 3 1 1 1" in text[at : at + 400]
    assert "person-1" not in text
    assert ["look again", "single image", "counts", "3", "6"] in table(sweep_dir, "time")


def test_checks_change_no_ledger(tmp_path: Path) -> None:
    _, without = label_folder(tmp_path / "without", rounds=2)
    _, with_checks = label_folder(tmp_path / "with", rounds=2, with_checks=True)

    for name in ("ledger/iteration-000.parquet", "ledger/iteration-001.parquet"):
        assert with_checks.folder.read(name) == without.folder.read(name) is not None


def test_nothing_is_shown_without_checks_and_second_opinions(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=1)
    folder = run_dir.folder.folder("people/answers")
    for name in folder.names():
        lines = (folder.read(name) or b"").splitlines()
        folder.write(name, b"".join(line.replace(b'"person-1"', b'"owner"') + b"\n" for line in lines))
    assert main([sweep_dir.folder.place]) == 0

    page = page_of(sweep_dir)
    assert 'id="quality"' not in page
    assert not {"label_error", "agreement", "confusions", "looks"} & set(re.findall(r"tables/(\w+)\.csv", page))
