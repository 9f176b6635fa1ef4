"""Exports what people have labeled so far, also while a round is open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from raycal.data import LoadedDataset
from raycal.export.evidence import PeopleRecord
from raycal.people.amendments import LookCounts, looks_of
from raycal.people.fold import HOLDOUT, Book, fold
from raycal.people.given_answers import given_answers
from raycal.people.log import read_events
from raycal.people.persons import summarize_people
from raycal.people.purity import quality_of_clusters
from raycal.people.quality import audited_labels
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.run_dir import RunDir


def labeled_samples(samples: LoadedDataset, book: Book) -> LoadedDataset:
    """The samples with the classes and the labels of the hold-out that people gave. Labels that nobody gave are -1."""
    if samples.class_names:
        return samples
    labels, answered = samples.labels.copy(), book.holdout()
    labels[samples.test_rows[list(answered)]] = list(answered.values())
    return replace(samples, labels=labels, class_names=book.classes)


def people_record(run_dir: RunDir, book: Book, duplicates: Mapping[str, str]) -> PeopleRecord:
    """The record of who gave which answer. It includes the answers that are in no ledger yet.

    Args:
        run_dir: The folder of the run.
        book: The answers, as the log of the run gives them.
        duplicates: The name of each sample that was left out as a duplicate, mapped to the name of the sample with the
            same content.
    """
    num_committed = len(run_dir.results())
    steps = StepFiles(run_dir.folder.folder(STEPS)).read_all()
    given, looks = given_answers(book, steps), looks_of(book, steps)
    return PeopleRecord(
        annotators=given.annotators,
        marked=given.marked,
        seen=given.seen,
        others=given.others,
        holdout_annotators=_holdout_annotators(book),
        uncommitted=[row for step, rows in given.rows if step.iteration >= num_committed for row in rows],
        duplicates=duplicates,
        persons=summarize_people(book),
        purity=quality_of_clusters(book, steps),
        audited=audited_labels(book),
        look_counts=LookCounts.of(looks),
    )


def _holdout_annotators(book: Book) -> dict[int, str]:
    events = {position: book.counted(f"{HOLDOUT}.{position}") for position in book.holdout()}
    return {position: event.who for position, event in events.items() if event is not None}


def read_book(run_dir: RunDir, class_names: Sequence[str]) -> Book:
    """Read the log of a run, and work out from its events which answers count."""
    return fold(read_events(run_dir.folder), class_names)
