"""Tests the number of threads with which the model is trained while the page is served."""

from pathlib import Path

import pytest

from raycal.annotate import labeling
from raycal.capacity.packing import Node
from raycal.sweep.job import Request, prepare
from raycal.sweep.run import allocate_trials

PROJECT = """
name: digits
experiment: {dataset: {name: digits, train_size: 80}, model: {weights: none}, scenario: random, expert: people}
"""


@pytest.mark.parametrize(
    ("cores", "resources", "threads"), [(8, "", 7), (2, "", 1), (1, "", 1), (8, "resources: {cpus_per_worker: 8}", 8)]
)
def test_one_core_is_left_to_the_page(
    cores: int, resources: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labeling, "this_machine", lambda: Node(cpus=cores, gpus=0, memory_bytes=16e9))
    file = tmp_path / "digits.yaml"
    file.write_text(PROJECT + resources)
    job = prepare(Request(sweep=str(file), storage=str(tmp_path / "runs"), local=True, resume=True, people=True))

    assert allocate_trials(job, [labeling.machine_of_the_model(job, None)]).threads == threads
