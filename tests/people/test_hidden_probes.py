"""Tests what a page is told about probes before and after the answer, and what they must never enter."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_project import TRAIN_ROWS, answer, clusters, halve, project, rows_of, undo

from raycal.algorithm.questions import Probe, StepQuestions
from raycal.people.answer_files import SCHEMA
from raycal.people.events import Answered
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.memory import OPEN
from raycal.people.project import Project
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder

SIZE = 60
PROBES = (Probe(590, 1), Probe(591, 2))
HIDDEN = [int(TRAIN_ROWS[590]), int(TRAIN_ROWS[591])]


def step() -> StepQuestions:
    """Five clusters, of which the first has two probes and the second has one."""
    plain = clusters(5, size=SIZE, iteration=1)
    first, second, *others = plain.first
    first, second = replace(first, probes=PROBES, guess=0), replace(second, probes=(Probe(592, 1),), guess=0)
    return replace(plain, first=(first, second, *(replace(one, guess=0) for one in others)))


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


@pytest.fixture
def birds(run: Folder) -> Iterator[Project]:
    StepFiles(run.folder(STEPS)).write(step())
    with project(run) as one:
        one.open_step(step(), 1, OPEN, halve=halve)
        yield one


def questions(of: Project) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = of.next("ana", "a1", [], 5)["questions"]
    return asked


def send(of: Project, event: object, who: str = "ana") -> dict[str, Any]:
    (receipt,) = of.submit(who, f"{who}-1", [event])
    return receipt


def form(value: object) -> object:
    """The form of a JSON value: its keys, its lengths, and the types in it."""
    if isinstance(value, dict):
        return {key: form(each) for key, each in value.items()}
    return [form(each) for each in value] if isinstance(value, list) else type(value).__name__


def test_question_with_probes_has_the_form_of_one_without(birds: Project) -> None:
    with_two, with_one, *without = questions(birds)
    for plain in without:
        for probed in (with_two, with_one):
            assert json.dumps(form(probed)) == json.dumps(form(plain))
            same = probed.keys() - {"id", "bands"}
            assert {key: probed[key] for key in same} == {key: plain[key] for key in same}
    assert with_two["size"] == SIZE
    assert "probe" not in json.dumps([with_two, birds.state("ana")])


def test_rows_of_a_question_with_probes_look_like_those_of_any_other(birds: Project) -> None:
    asked = questions(birds)
    assert set(HIDDEN) < set(rows_of(asked[0]))
    for question in asked:
        rows = rows_of(question)
        for page in range(3):
            more = birds.more("ana", question["id"], page)["images"]
            assert len(more) == (24 if page == 0 else 0)
            rows = [*rows, *more]
        assert len(rows) == len(set(rows)) == SIZE
        assert np.isin(rows, TRAIN_ROWS).all()  # All of them are images of the pool.


def test_page_and_restart_show_the_same_probes(birds: Project, run: Folder) -> None:
    before = questions(birds)
    birds.close()
    with project(run) as again:
        (read,) = StepFiles(run.folder(STEPS)).read_all()
        again.open_step(read, 1, OPEN, halve=halve)
        assert [one["bands"] for one in questions(again)] == [one["bands"] for one in before]


def test_marked_probe_is_found_and_no_mark_of_the_cluster(birds: Project, run: Folder) -> None:
    question = questions(birds)[0]
    odd = question["bands"]["nearest"][0]
    receipt = send(birds, answer(1, "1.0.0", 0, shown=36, marked=[odd, HIDDEN[0]]))
    assert receipt["text"] == "59 images as wren"
    assert receipt["check"] == {
        "text": "2 hidden checks: 1 found, 1 missed",
        "found": HIDDEN[:1],
        "missed": HIDDEN[1:],
        "advice": "",
    }
    (event,) = [one for one in read_events(run) if isinstance(one, Answered)]
    assert TRAIN_ROWS[list(event.marked)].tolist() == [odd]
    assert event.probes_found == (590,)
    assert event.probes == PROBES
    # The receipt is the same when the answer is sent again.
    again = send(birds, answer(1, "1.0.0", 0, shown=36, marked=[odd, HIDDEN[0]]))
    assert again == receipt | {"status": "known"}


def test_probes_are_in_no_ledger_row_and_in_no_count(birds: Project, run: Folder) -> None:
    before = birds.state("ana")["labeled"]
    send(birds, answer(1, "1.0.0", 0, shown=36, marked=HIDDEN[:1]))
    send(birds, answer(2, "1.0.1", 0, shown=36))
    state = birds.state("ana")
    assert state["labeled"] - before == 2 * SIZE
    assert state["classes"][0]["count"] == 2 * SIZE
    of = step()
    rows = of.rows(fold(read_events(run)).replies(of), spent=0)
    assert [row.indices.tolist() for row in rows] == [one.indices.tolist() for one in of.first[:2]]
    assert not any("probe" in name for name in SCHEMA.names)


def test_refused_split_or_open_cluster_tells_nothing(birds: Project) -> None:
    for number, (question, given) in enumerate([("1.0.0", "refused"), ("1.0.1", "split"), ("1.0.0", "unsure")]):
        receipt = send(birds, answer(10 + number, question, None, answer=given), who=f"person-{number}")
        assert receipt["check"] is None
        assert "check" not in receipt["text"]
    halves = [one for one in birds.next("person-1", "p", [], 9)["questions"] if one["half_of"] == "1.0.1"]
    assert [one["size"] for one in halves] == [SIZE // 2] * 2
    assert not {int(TRAIN_ROWS[592])} & {row for one in halves for row in rows_of(one)}


def test_class_of_the_probe_itself_tells_nothing(birds: Project) -> None:
    assert send(birds, answer(1, "1.0.1", 1, shown=36))["check"] is None


def test_answer_after_undo_is_not_checked_again_and_another_person_is(birds: Project) -> None:
    assert send(birds, answer(1, "1.0.1", 0, shown=36))["check"]["text"] == "1 hidden check: missed"
    assert send(birds, undo(2))["question"]["bands"] == birds.memory.questions.describe("1.0.1")["bands"]
    assert send(birds, answer(3, "1.0.1", 0, marked=[int(TRAIN_ROWS[592])]))["check"] is None
    second = send(birds, answer(4, "1.0.1", 0, marked=[int(TRAIN_ROWS[592])]), who="bo")
    assert second["status"] == "second"
    assert second["check"]["text"] == "1 hidden check: found"


def test_advice_comes_with_the_third_missed_probe_also_after_a_restart(birds: Project, run: Folder) -> None:
    assert send(birds, answer(1, "1.0.0", 0, shown=36))["check"]["advice"] == ""
    birds.close()
    with project(run) as again:
        again.open_step(step(), 1, OPEN, halve=halve)
        assert "missed 3 hidden checks" in send(again, answer(2, "1.0.1", 0, shown=36))["check"]["advice"]


def test_foreign_image_and_probe_of_another_question_cannot_be_marked(birds: Project) -> None:
    for foreign in (int(TRAIN_ROWS[592]), int(TRAIN_ROWS[595]), 0, -1, 10**6):
        receipt = send(birds, answer(50, "1.0.0", 0, shown=36, marked=[HIDDEN[0], foreign]))
        assert receipt["status"] == "refused"
        assert receipt["text"] == "One of the marked images does not belong to this question; reload the page."
    every = [int(row) for row in TRAIN_ROWS[step().first[0].by_distance]]
    receipt = send(birds, answer(51, "1.0.0", 0, shown=36, marked=[*every, *HIDDEN]))
    assert receipt["text"] == 'All images are marked, so none is left to label; use "mixed" instead.'
