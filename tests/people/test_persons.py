"""Tests the table of what each person did, by pseudonym."""

from pathlib import Path

import pytest
from labeled_folder import NUM_CLUSTERS, NUM_HOLDOUT, NUM_SAMPLES, label_folder

from raycal.algorithm.records import Kind
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.persons import PersonSummary, summarize_people


def test_work_of_each_person_is_counted(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path, rounds=1)

    person, owner = sorted(
        summarize_people(fold(read_events(run_dir.folder))), key=lambda one: one.annotator, reverse=True
    )

    shown = [*range(4, 4 + NUM_CLUSTERS), 4]  # The answer to the first cluster was given, taken back and given again.
    in_rounds = 2.0 * NUM_SAMPLES + sum(3.0 + 0.1 * images for images in shown)
    assert owner == PersonSummary(
        annotator="owner",
        single_images=NUM_SAMPLES,
        clusters=NUM_CLUSTERS,
        holdout=NUM_HOLDOUT,
        checks=0,
        taken_back=1,
        late=0,
        answered_second=0,
        answered_second_agreeing=0,
        probes=0,
        probes_missed=0,
        repeated=0,
        repeated_agreeing=0,
        first_answers=0,
        first_answers_right=0,
        first_answers_low=None,
        first_answers_high=None,
        minutes_in_rounds=pytest.approx(in_rounds / 60),
        minutes_in_all=pytest.approx((in_rounds + 2.0 * NUM_HOLDOUT) / 60),
        seconds_per_image=2.0,
        seconds_per_cluster=pytest.approx(3.9),
    )
    assert (person.annotator, person.answered_second, person.answered_second_agreeing, person.late) == (
        "person-1",
        2,
        2,
        2,
    )


def test_people_together_have_the_answers_and_the_minutes_of_the_ledger(tmp_path: Path) -> None:
    _, run_dir = label_folder(tmp_path, rounds=2, with_checks=True, with_looks=True, has_newcomer=True)
    rows = [row for iteration in range(2) for row in run_dir.ledger_of(iteration)]
    book = fold(read_events(run_dir.folder))

    people = summarize_people(book)

    assert sum(one.single_images for one in people) == sum(row.kind is Kind.SAMPLE for row in rows) == 2 * NUM_SAMPLES
    assert sum(one.clusters for one in people) == sum(row.kind is Kind.CLUSTER for row in rows) == 2 * NUM_CLUSTERS
    assert sum(one.minutes_in_rounds for one in people) == pytest.approx(sum(row.seconds for row in rows) / 60)
    columns = ("single_images", "clusters", "holdout", "checks", "taken_back", "late", "answered_second")
    counts = [getattr(one, name) for one in people for name in (*columns, "first_answers")]
    assert sum(counts) == len(book.all_answers())


def test_nobody_answered() -> None:
    assert summarize_people(fold([])) == []
