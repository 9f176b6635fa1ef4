"""Tests that the time of no call depends on the length of the log."""

import time
from pathlib import Path

import numpy as np
import pytest
from small_project import answer, event_id, project, samples

from raycal.algorithm.questions import sample_questions
from raycal.algorithm.records import Kind
from raycal.data.image_dataset import ImageDataset
from raycal.people.events import Answered, Closed, Event, GivenAnswer, Purpose, Timing, to_line
from raycal.people.log import ANSWERS
from raycal.people.memory import OPEN
from raycal.people.steps import StepFiles
from raycal.storage.folder import Folder

NUM_EVENTS, PER_STEP = 100_000, 1_000


def long_log(run: Folder) -> ImageDataset:
    """A hundred rounds with a thousand answers each, in four files."""
    files = StepFiles(run.folder("people/steps"))
    events: list[Event] = []
    for iteration in range(NUM_EVENTS // PER_STEP):
        indices = np.arange(PER_STEP) + PER_STEP * iteration
        files.write(sample_questions(indices, iteration=iteration, step=0))
        for number in range(PER_STEP):
            events.append(
                Answered(
                    seq=len(events) + 1,
                    id=event_id(len(events)),
                    who=f"p{number % 50}",
                    time="2026-01-01T00:00:00.000Z",
                    question=f"{iteration}.0.{number}",
                    kind=Kind.SAMPLE,
                    answer=GivenAnswer.LABEL,
                    label=number % 5,
                    purpose=Purpose.ROUND,
                    timing=Timing(visible_ms=2000, gaps_ms=(6000,)),
                )
            )
        events.append(
            Closed(seq=len(events) + 1, id=f"closed.{iteration}.0", who="p1", time="", iteration=iteration, step=0)
        )
    quarter = len(events) // 4
    for number, start in enumerate(range(0, len(events), quarter)):
        lines = "".join(f"{to_line(event)}\n" for event in events[start : start + quarter])
        run.folder(ANSWERS).write(f"{1000 * number + 1:08d}-{1000 * number + 1000:08d}.jsonl", lines.encode())
    return ImageDataset(
        images=np.zeros((NUM_EVENTS + 500, 1, 1, 3), np.uint8),
        labels=np.full(NUM_EVENTS + 500, -1),
        train_rows=np.arange(NUM_EVENTS + 500),
        test_rows=np.arange(0),
        class_names=(),
    )


@pytest.mark.slow
def test_long_log_is_loaded_in_seconds_and_slows_down_no_call(tmp_path: Path) -> None:
    run = Folder.at(str(tmp_path))
    dataset = long_log(run)
    start = time.process_time()
    with project(run, dataset=dataset) as one:
        loaded = time.process_time() - start
        one.open_step(samples(200, iteration=100, start=0), 100, OPEN)
        start = time.process_time()
        for number in range(200):
            (question,) = one.next("ana", "a1", [], 1)["questions"]
            (receipt,) = one.submit("ana", "a1", [answer(10**6 + number, question["id"])])
            assert receipt["status"] == "stored"
            assert one.state("ana")["answered"] == number + 1
        taken = time.process_time() - start
    assert loaded < 10
    assert taken / 200 < 0.01
    print(f"{loaded:.2f} s to load, {1000 * taken / 200:.2f} ms for each answer")
