"""Tests that the files that say who gave which answer agree with the ledger, and are the same whenever they are
written."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from labeled_folder import CLUSTER_MS, IMAGE_MS, NUM_CLUSTERS, NUM_HOLDOUT, NUM_SAMPLES, SAMPLE_MS, label_folder

from raycal.people.answer_files import AnswerFiles
from raycal.storage.run_dir import PEOPLE, RunDir

FILES = ("people/iteration-000.parquet", "people/iteration-001.parquet")


def rows_of(run_dir: RunDir, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(BytesIO(run_dir.folder.read(name) or b"")).to_pylist()
    return rows


def test_each_answer_of_a_round_is_a_row(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)

    first, second = (rows_of(run_dir, name) for name in FILES)

    # The last late answer of a round arrives after the end of the round, so it belongs to the next one.
    assert len(first) == NUM_HOLDOUT + NUM_CLUSTERS + NUM_SAMPLES + 1 + 2 + 1
    assert len(second) == 1 + NUM_CLUSTERS + NUM_SAMPLES + 1 + 2 + 1
    assert second[0] == {
        "interaction": NUM_CLUSTERS + 1,
        "question": "0.1.0",
        "annotator": "person-1",
        "purpose": "round",
        "kind": "sample",
        "role": "late",
        "answer": "label",
        "label": 1,
        "shown": 1,
        "marked": [],
        "seconds": SAMPLE_MS / 1000,
        "suggestion_shown": False,
    }
    roles = [(row["question"], row["role"], row["annotator"]) for row in first if row["question"].startswith("0.0.")]
    assert roles[:4] == [
        ("0.0.0", "taken back", "owner"),
        ("0.0.0", "counted", "owner"),
        ("0.0.1", "counted", "owner"),
        ("0.0.1", "second opinion", "person-1"),
    ]
    assert {row["interaction"] for row in first if row["purpose"] == "holdout"} == {None}


def test_rounds_count_as_finished_while_their_results_are_computed_again(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)
    files = AnswerFiles(run_dir.folder)
    assert files.num_rounds() == 2

    first, _ = (run_dir.folder.read("results.jsonl") or b"").splitlines(keepends=True)
    run_dir.folder.write("results.jsonl", first)
    assert files.num_rounds() == 2
    for name in FILES:  # a server that was killed had no time to write them
        run_dir.folder.remove(name)
    assert files.num_rounds() == 1


def test_answers_that_count_make_up_the_ledger(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)

    for iteration, name in enumerate(FILES):
        seconds: dict[int, float] = {}
        for row in rows_of(run_dir, name):
            if row["role"] in ("counted", "taken back") and row["interaction"] is not None:
                seconds[row["interaction"]] = seconds.get(row["interaction"], 0.0) + row["seconds"]
        ledger = run_dir.ledger_of(iteration)
        assert seconds == pytest.approx({row.interaction: row.seconds for row in ledger})
        # One of the two answers was taken back.
        assert ledger[0].seconds == pytest.approx(2 * (CLUSTER_MS + 4 * IMAGE_MS) / 1000)
    assert sum(row.seconds for i in range(2) for row in run_dir.ledger_of(i)) == pytest.approx(
        run_dir.results()[-1]["human_seconds"]
    )


def test_files_have_the_same_bytes_whenever_they_are_written(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)
    before = [run_dir.folder.read(name) for name in FILES]

    for name in FILES:
        run_dir.folder.remove(name)
    AnswerFiles(run_dir.folder).write_missing()

    assert [run_dir.folder.read(name) for name in FILES] == before
    assert None not in before


def test_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path, rounds=1)
    run_dir.folder.write(FILES[0], b"earlier")

    AnswerFiles(run_dir.folder).write_missing()

    assert run_dir.folder.read(FILES[0]) == b"earlier"
    assert run_dir.folder.folder(PEOPLE).names("iteration-*.parquet") == ["iteration-000.parquet"]
