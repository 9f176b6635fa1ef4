"""Tests probes in a whole project: bots label it, the worker hides probes, and nothing that is made of the answers
contains them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from labeled_run import NAMES, label_run

from raycal.algorithm.records import Answer, Kind
from raycal.annotate.exporting import people_record, read_book
from raycal.annotate.samples import ProjectSamples
from raycal.people.purity import quality_of_clusters
from raycal.people.steps import STEPS, StepFiles


@pytest.mark.slow
def test_worker_hides_known_images_and_nothing_contains_them(tmp_path: Path) -> None:
    run = label_run(tmp_path, rounds=2, iterations=3, interactions=12, num_images=600, probe_share=1.0)
    run_dir = run.run_dir
    steps = StepFiles(run_dir.folder.folder(STEPS)).read_all()
    book = read_book(run_dir, ())
    opened = ProjectSamples().open(run.config, run_dir.folder)
    colors = [Path(name).name.split("-")[0] for name in opened.dataset.source.names]

    ledgers = [run_dir.ledger_of(number) for number in (0, 1)]
    singles = {
        int(row.indices[0]): row.label
        for row in [*ledgers[0], *ledgers[1]]
        if row.kind is Kind.SAMPLE and row.answer is Answer.LABELED
    }
    probed = [(step, question) for step in steps for question in step.first if question.probes]
    assert probed
    assert {step.iteration for step, _ in probed} == {1}  # In the first round the model has learned nothing.
    for _, question in probed:
        for probe in question.probes:
            assert singles[probe.sample] == probe.label != question.guess
            assert book.classes[probe.label] == colors[opened.dataset.train_rows[probe.sample]]

    # The answer of a cluster has no probe in its row, neither in the ledger nor in the record of the people.
    hidden = {probe.sample for _, question in probed for probe in question.probes}
    of_clusters = [row for row in ledgers[1] if row.kind is Kind.CLUSTER]
    assert of_clusters
    assert not any(np.isin(row.indices, sorted(hidden)).any() for row in of_clusters)
    marked = people_record(run_dir, book, {}).marked
    assert not hidden & {index for indices in marked.values() for index in indices.tolist()}
    rows = pq.read_table(f"{run_dir.folder.path}/people/iteration-001.parquet").to_pylist()
    assert not hidden & {index for row in rows if row["kind"] == "cluster" for index in row["marked"]}
    # A probe that was labeled alone keeps this label, and the pool counts it once.
    pool = run_dir.results()[-1]
    assert pool["labeled"] + pool["cluster_labeled"] + pool["unlabeled"] == opened.dataset.num_train
    assert pool["cluster_labeled"] == sum(len(row.indices) for row in of_clusters if row.answer is Answer.LABELED)

    # These bots see every color, so they find every probe that differs from the class of the cluster.
    quality = quality_of_clusters(book, steps)
    assert quality is not None
    assert quality.misses.shown > 0
    assert quality.misses.missed == 0
    assert set(NAMES) >= set(book.classes)
