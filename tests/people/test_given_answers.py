"""Tests the answers of people as evidence, and the weights that training gets from them."""

from pathlib import Path

import numpy as np
import pytest
from labeled_run import label_run
from small_project import clusters, samples

from raycal.algorithm.pool import CLUSTER_LABELED
from raycal.algorithm.records import Kind
from raycal.annotate.exporting import labeled_samples
from raycal.annotate.samples import ProjectSamples
from raycal.export.model import export_model
from raycal.export.source import read_source
from raycal.people.answered import AnsweredByPeople
from raycal.people.events import Answered, Event, GivenAnswer, Purpose, Timing
from raycal.people.fold import fold
from raycal.people.given_answers import LEAST_WEIGHT, given_answers, label_probabilities
from raycal.people.log import read_events
from raycal.storage.checkpoints import StateDir
from raycal.storage.folder import Folder
from raycal.storage.pool_file import unpack
from raycal.storage.run_dir import STATES

STEPS = [clusters(10), samples(10)]


def answered(seq: int, question: str, who: str, label: int, *, marked: tuple[int, ...] = ()) -> Event:
    return Answered(
        seq=seq,
        id=f"event-{seq}",
        who=who,
        time="2026-11-28T00:00:00Z",
        question=question,
        kind=Kind.CLUSTER if question.startswith("0.0.") else Kind.SAMPLE,
        answer=GivenAnswer.LABEL,
        label=label,
        purpose=Purpose.AUDIT if question.startswith("audit") else Purpose.ROUND,
        timing=Timing(visible_ms=1000),
        shown=10,
        marked=marked,
    )


def test_rows_of_the_ledger_come_with_what_it_does_not_say() -> None:
    events = [answered(1, "0.1.0", "bo", 2), answered(2, "0.0.3", "ana", 4, marked=(31,))]
    given = given_answers(fold(events), STEPS)

    assert [[(row.interaction, row.label) for row in rows] for _, rows in given.rows] == [[(1, 4)], [(2, 2)]]
    assert given.annotators == {1: "ana", 2: "bo"}
    assert {number: indices.tolist() for number, indices in given.marked.items()} == {1: [31]}
    assert {number: indices.tolist() for number, indices in given.seen.items()} == {1: list(range(30, 40))}
    evidence = given.evidence
    assert evidence.people == ("ana", "bo")
    assert sorted(zip(evidence.index.tolist(), evidence.is_odd.tolist(), strict=True)) == [
        (index, index == 31) for index in range(30, 40)
    ] + [(300, False)]


def test_label_that_a_check_contradicts_weighs_less_and_one_that_it_confirms_more() -> None:
    events = [answered(1, "0.0.3", "ana", 4), answered(2, "0.0.4", "ana", 1)]
    checks = [answered(3, "audit.30", "bo", 2), answered(4, "audit.40", "bo", 1)]
    labels = np.full(600, -1)
    labels[30:40], labels[40:50] = 4, 1
    before = label_probabilities(fold(events), STEPS, labels)
    after = label_probabilities(fold([*events, *checks]), STEPS, labels)

    assert before.dtype == np.float32
    assert (before[labels < 0] == 1).all()
    assert (before[30:50] == before[30]).all()
    assert LEAST_WEIGHT <= after[30] < 0.5 < before[30] < after[40] < 1
    assert after[31] < before[31] < after[41]


@pytest.mark.slow
def test_training_of_people_weighs_labels_by_their_probability_also_when_the_model_is_trained_again(
    tmp_path: Path,
) -> None:
    run = label_run(tmp_path, rounds=2, iterations=3, cluster_weight="posterior")
    run_dir = run.run_dir
    pool = unpack(next(StateDir(run_dir.folder.folder(STATES)).whole()).pool, 96 - 24)
    of_cluster = np.flatnonzero(pool.status == CLUSTER_LABELED)
    assert pool.purity is not None
    weights = pool.purity[of_cluster]

    assert len(of_cluster) > 10
    assert ((weights > 0.5) & (weights < 1)).all()
    people = AnsweredByPeople(Folder.at(run_dir.folder.uri), lambda: 2)
    again = people.label_probabilities(1, pool.labels.astype(np.int64))
    assert again[of_cluster].tolist() == weights.tolist()

    # The export trains the same model from the log, when the saved one is gone.
    for name in run_dir.folder.folder(STATES).all_names():
        run_dir.folder.folder(STATES).remove(name)
    source = read_source(run_dir.folder.uri)
    opened = ProjectSamples().open(run.config, run_dir.folder)
    samples = labeled_samples(opened.dataset, fold(read_events(run_dir.folder)))
    exported = export_model(source, samples)
    assert not exported.is_saved
    assert exported.evaluation is not None
    assert exported.evaluation.accuracy == source.results[-1]["test_accuracy"]
