"""Tests that a user who follows raycal's advice about damaged files of a run never loses the answers of people."""

from pathlib import Path

import pytest
from labeled_folder import label_folder

from raycal.errors import InputError

ADVICE = (
    "move everything but {place}/people away, and python -m raycal.annotate makes it again from the answers of people"
)


def test_damaged_ledger_of_people(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)
    run_dir.folder.write("ledger/iteration-000.parquet", b"damaged")

    (line,) = run_dir.damage()

    place = run_dir.folder.place
    expected = f"{place}/ledger/iteration-000.parquet: not as the experiment left it; put it back, or "
    assert line == expected + ADVICE.format(place=place)


def test_foreign_results_of_people(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path, rounds=1, is_finished=False)
    run_dir.folder.write("results.jsonl", b"{}\n")

    with pytest.raises(InputError) as raised:
        run_dir.results()

    assert str(raised.value).endswith(f"raycal did not write this; {ADVICE.format(place=run_dir.folder.place)}")


def test_people_may_answer_after_the_end_without_damage(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path)
    run_dir.folder.write("people/answers/00000099.jsonl", b"")
    run_dir.folder.remove("people/iteration-001.parquet")

    assert run_dir.damage() == []
