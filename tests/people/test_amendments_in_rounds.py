"""Tests amended labels in a whole project: two people disagree, a third one looks again, and the next model learns from
the new label."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from labeled_run import NAMES, LabeledRun, label_run

from raycal.algorithm.pool import LABELED, Pool
from raycal.algorithm.records import Kind
from raycal.annotate.exporting import labeled_samples, people_record, read_book
from raycal.annotate.samples import ProjectSamples
from raycal.experiment.with_people import WorkerOrder, carry_on
from raycal.export.model import last_learner, last_training_set
from raycal.export.source import read_source
from raycal.export.write import export_run
from raycal.people.amendments import AMENDMENTS, AmendmentFiles
from raycal.people.events import Answered
from raycal.people.log import read_events
from raycal.people.project import Project
from raycal.storage.checkpoints import StateDir
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_dir import RESULTS, STATES, RunDir
from raycal.storage.seal import digest_of


@dataclass
class Disagreement:
    """Another person contradicts the first single label of the first round, and a third person agrees with her.

    Attributes:
        sample: The sample of the pool.
        before: The label that the sample got first.
        after: The label that the third person gave.
        digests: The digests of the files of the first round when it was committed.
        first_result: Its line of results.jsonl then.
    """

    sample: int = -1
    before: int = -1
    after: int = -1
    digests: dict[str, str] = field(default_factory=dict)
    first_result: bytes = b""

    def __call__(self, project: Project, run_dir: RunDir) -> None:
        if run_dir.results() and not self.digests:
            self.digests = {name: digest_of(run_dir.folder.read(name) or b"") for name in files_of_first(run_dir)}
            (self.first_result,) = (run_dir.folder.read(RESULTS) or b"").splitlines()
            (saved,) = StateDir(run_dir.folder.folder(STATES)).whole()
            pool = saved.loop(project.memory.dataset.num_train).pool
            assert (pool.status[self.sample], pool.labels[self.sample]) == (LABELED, self.before)
        closed = [place for place in project.memory.board.book.closed if place[1] == 0]
        if self.sample >= 0 or not closed:
            return
        events = (one for one in read_events(run_dir.folder) if isinstance(one, Answered))
        first = next(one for one in events if one.question.startswith("0.0.") and one.label is not None)
        found = project.memory.board.find(first.question)
        assert found is not None
        assert first.label is not None
        self.sample, self.before = int(found[1].by_distance[0]), first.label
        self.after = next(label for label in range(project.memory.board.book.num_classes) if label != first.label)
        send(project, "ben", f"shared.{first.seq}", self.after, 1)
        given = project.next("cid", "cid", [], 50)["questions"]
        (look,) = [question for question in given if question["purpose"] == "look_again"]
        assert sorted(look["choices"]) == sorted([self.before, self.after])
        send(project, "cid", look["id"], self.after, 2)


def send(project: Project, who: str, question: str, label: int, number: int) -> None:
    timing = {"visible_ms": 2000, "gaps_ms": []}
    event = {"type": "answered", "id": f"look-again-{number}", "question": question, "answer": "label", "label": label}
    (receipt,) = project.submit(who, who, [event | {"timing": timing, "shown": 1}])
    assert receipt["status"] == "stored", receipt


def files_of_first(run_dir: RunDir) -> list[str]:
    """The files of the first round, without the log."""
    return [name for name in run_dir.folder.all_names() if "iteration-000" in name]


def carried_on(run: LabeledRun) -> RunDir:
    lease = Lease.take(Folder.at(run.folder.uri)).record
    order = WorkerOrder(config=run.config, sweep_folder=run.folder.uri, lease=lease, settings=run.settings)
    for _ in range(4):
        assert carry_on(order), run.run_dir.error()
    return run.run_dir


def facts(run_dir: RunDir) -> list[dict[str, Any]]:
    """The results of the rounds without the times that they took."""
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in run_dir.results()]


@pytest.mark.slow
def test_amended_label_is_learned_in_the_next_round_and_exported(tmp_path: Path) -> None:
    people = Disagreement()
    run = label_run(tmp_path, rounds=2, iterations=3, scenario="uncertain-only", after_step=people)
    run_dir = run.run_dir
    folder = run_dir.folder

    # The ledger keeps the first label, and the files of the first round keep their bytes.
    rows = {int(row.indices[0]): row.label for row in run_dir.ledger_of(0) if row.kind is Kind.SAMPLE}
    assert rows[people.sample] == people.before != people.after
    left = {name: digest_of(folder.read(name) or b"") for name in people.digests if folder.exists(name)}
    assert left == {name: people.digests[name] for name in left}
    assert (folder.read(RESULTS) or b"").splitlines()[0] == people.first_result
    assert {"ledger/iteration-000.parquet", "people/iteration-000.parquet"} <= left.keys()

    # The round that begins afterwards has the amended label, in a file of its own.
    assert AmendmentFiles(folder).read_all() == {
        1: {people.sample: people.after},
        2: {people.sample: people.after},
    }
    state = next(one for one in StateDir(folder.folder(STATES)).whole() if one.iteration == 1)
    opened = ProjectSamples().open(run.config, folder)
    pool = state.loop(opened.dataset.num_train, may_have_grown=True).pool
    assert (pool.status[people.sample], pool.labels[people.sample]) == (LABELED, people.after)

    # The ledger and the amended labels are the full record of the training, to the last bit of the model.
    source = read_source(f"{run.folder.uri}/{run.config.experiment_id}")
    training_set = last_training_set(source.config, source.ledger, opened.dataset.num_train, source.amendments)
    learned = Pool(pool).training_set()
    assert np.array_equal(training_set.indices, learned.indices)
    assert np.array_equal(training_set.labels, learned.labels)
    book = read_book(run_dir, opened.dataset.class_names)
    samples = labeled_samples(opened.dataset, book)
    saved, is_saved = last_learner(source, samples)
    for name in folder.folder(STATES).names("iteration-*"):
        folder.folder(STATES).remove(name)
    trained, is_saved_again = last_learner(source, samples)
    assert (is_saved, is_saved_again) == (True, False)
    assert all(np.array_equal(value, trained.arrays()[name]) for name, value in saved.arrays().items())

    # The export has the amended label.
    export_run(
        f"{run.folder.uri}/{run.config.experiment_id}",
        tmp_path / "out",
        pictures="none",
        with_model=False,
        people=people_record(run_dir, book, opened.duplicates),
        images=samples,
        originals=tmp_path / "colors",
    )
    name = opened.dataset.names[opened.dataset.train_rows[people.sample]]
    (label,) = [row for row in pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist() if row["source"] == name]
    assert label["label"] == book.classes[people.after]
    assert (label["how"], label["annotator"], label["round"], label["interaction"]) == ("single", "cid", 0, None)
    evidence = pq.read_table(tmp_path / "out" / "evidence.parquet").to_pylist()
    of_sample = [(one["label"], one["annotator"], one["agrees"]) for one in evidence if one["source"] == name]
    assert of_sample[-1] == (book.classes[people.after], "cid", True)
    assert (book.classes[people.before], False) in {(given, agrees) for given, _, agrees in of_sample}
    card = (tmp_path / "out" / "README.md").read_text()
    assert (
        "1 single image was looked at again, because another label or a model spoke against its label, "
        "and 1 of the labels changed." in card
    )
    assert set(book.classes) <= set(NAMES)


@pytest.mark.slow
def test_rounds_that_are_made_again_have_the_amended_labels(tmp_path: Path) -> None:
    people = Disagreement()
    run = label_run(tmp_path, rounds=2, iterations=2, scenario="uncertain-only", after_step=people)
    folder = run.run_dir.folder
    before = {name: folder.read(name) for name in folder.all_names() if name.endswith(".parquet")}
    results = facts(run.run_dir)
    assert AmendmentFiles(folder).read_all() == {1: {people.sample: people.after}}

    for name in folder.all_names():
        if not name.startswith("people/") or name.endswith(".parquet"):
            folder.remove(name)
    again = carried_on(run)

    assert {name: again.folder.read(name) for name in before} == before
    assert facts(again) == results
    assert again.folder.folder(AMENDMENTS).names("*") == ["iteration-001.json"]
