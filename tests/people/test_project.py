import errno
import json
import os
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from set_clock import Clock
from small_project import (
    SIZE,
    TEST_ROWS,
    TRAIN_ROWS,
    Page,
    answer,
    clusters,
    event_id,
    halve,
    project,
    rows_of,
    samples,
    undo,
)

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices
from raycal.errors import InputError
from raycal.people.board import Board
from raycal.people.events import Answered, ClassAdded, ClassRenamed, Closed
from raycal.people.fold import fold
from raycal.people.incoming import RefusedError
from raycal.people.log import ANSWERS, NotStoredError, read_events
from raycal.people.memory import OPEN, TRAINING
from raycal.people.project import Project
from raycal.people.shown import first_shown
from raycal.people.steps import StepFiles
from raycal.storage.folder import Folder

CLASSES = ("wren", "robin", "tit", "crow", "jay")


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


@pytest.fixture
def birds(run: Folder) -> Iterator[Project]:
    """A project with known classes and no hold-out, in which a step with ten clusters is open."""
    with project(run) as one:
        one.open_step(clusters(), 0, OPEN, halve=halve)
        yield one


def send(of: Project, *events: object, who: str = "ana", client: str = "a1") -> list[dict[str, Any]]:
    return of.submit(who, client, list(events))


def send_one(of: Project, event: object, who: str = "ana", client: str = "a1") -> dict[str, Any]:
    (receipt,) = send(of, event, who=who, client=client)
    return receipt


def ask(of: Project, client: str, want: int = 1, holding: Sequence[str] = ()) -> list[str]:
    return [one["id"] for one in of.next(client[0], client, holding, want)["questions"]]


def ledger(run: Folder, step: StepQuestions) -> list[Any]:
    """The ledger rows as the worker makes them from the files on the disk."""
    return [
        (row.interaction, row.kind, row.answer, row.label, row.seconds, row.indices.tolist())
        for row in step.rows(fold(read_events(run), CLASSES).replies(step), spent=100)
    ]


# The following tests check answers and receipts.


def test_answer_is_on_disk_when_it_is_acknowledged(birds: Project, run: Folder) -> None:
    receipt = send_one(birds, answer(1, "0.0.3", 1, shown=10, marked=[int(TRAIN_ROWS[31]), int(TRAIN_ROWS[38])]))

    assert receipt == {
        "id": event_id(1),
        "status": "stored",
        "seq": 1,
        "text": "8 images as robin",
        "label": 1,
        "question": None,
        "check": None,
        "gold": None,
    }
    (event,) = read_events(run)
    assert isinstance(event, Answered)
    assert (event.question, event.label, event.marked, event.shown) == ("0.0.3", 1, (31, 38), 10)
    assert (event.timing.visible_ms, event.timing.first_input_ms, event.who) == (1000, 200, "ana")
    assert ledger(run, clusters())[0][-1] == [30, 32, 33, 34, 35, 36, 37, 39]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"answer": "label", "label": 4}, "10 images as jay"),
        ({"answer": "refused", "label": None}, "10 images as mixed, without a label"),
        ({"answer": "unsure", "label": None}, "10 images left open"),
        ({"answer": "split", "label": None}, "10 images split into 2 parts"),
    ],
)
def test_receipt_says_what_was_done(birds: Project, changes: dict[str, Any], text: str) -> None:
    receipt = send_one(birds, answer(1, "0.0.0", **changes))

    assert (receipt["status"], receipt["text"], receipt["label"]) == ("stored", text, changes["label"])


def test_cluster_that_cannot_be_split_counts_as_mixed(run: Folder) -> None:
    def whole(question: Question) -> Sequence[Indices]:
        return [question.by_distance]

    with project(run) as one:
        one.open_step(clusters(2), 0, OPEN, halve=whole)
        receipt = send_one(one, answer(1, "0.0.0", None, answer="split"))
        assert receipt["text"] == "10 images as mixed, because this cluster cannot be split"
        assert ask(one, "a1", 9) == ["0.0.1"]


def test_split_waits_until_the_rounds_have_started(run: Folder) -> None:
    """A page sends the answers that it kept as soon as the server answers again. At this moment a cluster cannot be
    split yet."""
    StepFiles(run.folder("people/steps")).write(clusters(2))
    split = answer(1, "0.0.0", None, answer="split")
    with project(run) as one:
        with pytest.raises(NotStoredError, match="has just started"):
            send_one(one, split)
        assert read_events(run) == []
        one.open_step(clusters(2), 0, OPEN, halve=halve)
        assert send_one(one, split)["text"] == "10 images split into 2 parts"
    with project(run) as one:
        assert send_one(one, split)["status"] == "known"


def test_replayed_answer_gives_the_same_receipt(birds: Project, run: Folder) -> None:
    first = send_one(birds, answer(1, "0.0.0", 2))
    replays = [send_one(birds, answer(1, "0.0.0", 2)) for _ in range(10_000)]

    assert all(replay == {**first, "status": "known"} for replay in replays)
    assert len(read_events(run)) == 1
    assert birds.state("ana")["answered"] == 1


def test_replay_after_a_restart_gives_the_same_receipt(run: Folder) -> None:
    StepFiles(run.folder("people/steps")).write(clusters())
    events = [answer(1, "0.0.0", 2), answer(2, "0.0.1", 2, marked=[int(TRAIN_ROWS[11])]), undo(3)]
    with project(run) as one:
        one.open_step(clusters(), 0, OPEN, halve=halve)
        first = send(one, *events)
        second = send_one(one, answer(4, "0.0.0", 1), who="bo")
    with project(run) as one:
        again = send(one, *events, answer(4, "0.0.0", 1))
    assert again == [*({**receipt, "status": "known"} for receipt in first), second]
    assert second["status"] == "second"
    assert len(read_events(run)) == 4


def test_same_event_twice_in_one_request_is_stored_once(birds: Project, run: Folder) -> None:
    receipts = send(birds, answer(1, "0.0.0"), answer(1, "0.0.0"))

    assert [receipt["status"] for receipt in receipts] == ["stored", "known"]
    assert len(read_events(run)) == 1


ROW = int(TRAIN_ROWS[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question": "0.0.99"}, "This question does not exist"),
        ({"question": "0.0.0.0"}, "This question does not exist"),
        ({"question": "1.0.0"}, "This question does not exist"),
        ({"question": "h.0"}, "This question does not exist"),
        ({"question": "h.-1"}, "This question does not exist"),
        ({"question": "h.x"}, "This question does not exist"),
        ({"question": "x.y.z"}, "This question does not exist"),
        ({"question": ""}, "This question does not exist"),
        ({"question": "\u0660.\u0660.\u0660"}, "This question does not exist"),
        ({"question": 7}, "reload the page"),
        ({"marked": [int(TRAIN_ROWS[10])]}, "does not belong to this question"),
        ({"marked": [int(TEST_ROWS[0])]}, "does not belong to this question"),
        ({"marked": [-1]}, "does not belong to this question"),
        ({"marked": [10**30]}, "does not belong to this question"),
        ({"marked": [int(row) for row in TRAIN_ROWS[:SIZE]]}, "All images are marked"),
        ({"marked": ["1"]}, "reload the page"),
        ({"marked": [True]}, "reload the page"),
        ({"marked": "12"}, "reload the page"),
        ({"label": 5}, "This class does not exist"),
        ({"label": -1}, "This class does not exist"),
        ({"label": 10**30}, "This class does not exist"),
        ({"label": "1"}, "reload the page"),
        ({"label": 1.0}, "reload the page"),
        ({"label": True}, "reload the page"),
        ({"label": None}, "Choose one class"),
        ({"label": 1, "new_class": "heron"}, "Choose one class"),
        ({"answer": "refused", "label": 1}, "A class can only be named together with a label"),
        ({"answer": "maybe"}, "reload the page"),
        ({"answer": None}, "reload the page"),
        ({"answer": ["label"]}, "reload the page"),
        ({"label": None, "new_class": ""}, "cannot be empty"),
        ({"label": None, "new_class": "   "}, "cannot be empty"),
        ({"label": None, "new_class": "\u200d"}, "cannot be empty"),
        ({"label": None, "new_class": "x" * 65}, "at most 64 characters, and this one has 65"),
        ({"label": None, "new_class": "a\nb"}, "invisible characters"),
        ({"label": None, "new_class": "a\x00b"}, "invisible characters"),
        ({"label": None, "new_class": "a\u202eb"}, "invisible characters"),
        ({"label": None, "new_class": "a\u2066b"}, "invisible characters"),
        ({"label": None, "new_class": "a\ud800b"}, "invisible characters"),
        ({"label": None, "new_class": "a\u2028b"}, "invisible characters"),
        ({"label": None, "new_class": "\ufeffa"}, "invisible characters"),
        ({"label": None, "new_class": 3}, "reload the page"),
        ({"shown": -1}, "reload the page"),
        ({"shown": "36"}, "reload the page"),
        ({"timing": None}, "reload the page"),
        ({"timing": {"visible_ms": -1}}, "impossible time"),
        ({"timing": {"visible_ms": float("nan")}}, "impossible time"),
        ({"timing": {"visible_ms": float("inf")}}, "impossible time"),
        ({"timing": {"visible_ms": 1e300}}, "impossible time"),
        ({"timing": {"visible_ms": 10**400}}, "impossible time"),
        ({"timing": {}}, "impossible time"),
        ({"timing": {"visible_ms": 1, "gaps_ms": [-5]}}, "impossible time"),
        ({"timing": {"visible_ms": 1, "gaps_ms": "55"}}, "reload the page"),
        ({"timing": {"visible_ms": 1, "gaps_ms": [1] * 10_000}}, "reload the page"),
        ({"suggestion_shown": "yes"}, "reload the page"),
        ({"type": "closed"}, "reload the page"),
        ({"type": None}, "reload the page"),
        ({"id": "short"}, "reload the page"),
        ({"id": event_id(1) + ".class"}, "reload the page"),
        ({"id": 7}, "reload the page"),
        ({"id": "x" * 10_000}, "reload the page"),
    ],
)
def test_bad_event_is_refused_with_one_sentence_and_nothing_is_stored(
    birds: Project, run: Folder, changes: dict[str, Any], words: str
) -> None:
    before = birds.state("ana")
    receipt, good = send(birds, {**answer(1, "0.0.0"), **changes}, answer(2, "0.0.1"))

    assert receipt["status"] == "refused"
    assert words in receipt["text"]
    assert receipt["text"].endswith(".")
    assert "\n" not in receipt["text"]
    assert receipt["seq"] is None
    assert good["status"] == "stored"
    assert [event.id for event in read_events(run)] == [event_id(2)]
    assert birds.state("ana")["classes"][1:] == before["classes"][1:]
    assert json.dumps(receipt)


UNHASHABLE = {"type": "answered", "id": ["x"], "question": "0.0.0", "answer": "split"}


@pytest.mark.parametrize("event", [None, 7, "text", [], {}, {"type": "answered"}, {"id": event_id(1)}, UNHASHABLE])
def test_event_of_another_form_is_refused(birds: Project, event: object) -> None:
    assert send_one(birds, event)["status"] == "refused"


@pytest.mark.parametrize("kind", ["refused", "split"])
def test_single_image_cannot_be_refused_or_split(run: Folder, kind: str) -> None:
    with project(run, holdout=5) as one:
        one.open_step(samples(), 0, OPEN)
        for question in ("0.1.0", "h.0"):
            receipt = send_one(one, answer(1, question, None, answer=kind))
            assert (receipt["status"], receipt["text"]) == (
                "refused",
                "A single image can be labeled or left open, but not refused or split.",
            )


# The following tests check classes.


def test_new_class_is_created_with_the_answer(run: Folder) -> None:
    with project(run, class_names=()) as one:
        one.open_step(clusters(), 0, OPEN)
        receipt = send_one(one, answer(1, "0.0.0", None, answer="label", new_class="  Great   tit "))
        assert (receipt["status"], receipt["label"], receipt["text"]) == ("stored", 0, "10 images as Great tit")
        assert one.state("ana")["classes"] == [{"id": 0, "name": "Great tit", "count": 10}]
    added, answered = read_events(run)
    assert isinstance(added, ClassAdded)
    assert isinstance(answered, Answered)
    assert (added.name, added.label, answered.label) == ("Great tit", 0, 0)
    # Both events are in one file, so after a crash the log has either both or neither.
    assert run.folder(ANSWERS).names() == ["00000001.jsonl"]


@pytest.mark.parametrize("name", ["GREAT TIT", "great\u00a0tit", " great  tit", "Great t\u200dit"])
def test_same_name_in_another_form_is_the_same_class(run: Folder, name: str) -> None:
    with project(run, class_names=("Great tit", "Mu\u0308ller")) as one:
        one.open_step(clusters(), 0, OPEN)
        receipts = send(
            one,
            answer(1, "0.0.0", None, answer="label", new_class=name),
            answer(2, "0.0.1", None, answer="label", new_class="M\u00dcLLER"),
        )
        assert [receipt["label"] for receipt in receipts] == [0, 1]
        assert len(one.state("ana")["classes"]) == 2


def test_two_people_who_name_the_same_class_at_once_make_one(run: Folder) -> None:
    with project(run, class_names=(), group_seconds=0.1) as one:
        one.open_step(clusters(), 0, OPEN)
        together(
            *(
                lambda number=number: send_one(
                    one, answer(number, f"0.0.{number}", None, answer="label", new_class="Wren"), who=f"p{number}"
                )
                for number in range(8)
            )
        )
        assert [entry["name"] for entry in one.state("ana")["classes"]] == ["Wren"]
        assert one.state("ana")["classes"][0]["count"] == 80
    assert sum(isinstance(event, ClassAdded) for event in read_events(run)) == 1


def test_fixed_classes_stay_fixed(run: Folder) -> None:
    with project(run, may_add_classes=False) as one:
        one.open_step(clusters(), 0, OPEN)
        refused, found = send(
            one,
            answer(1, "0.0.0", None, answer="label", new_class="heron"),
            answer(2, "0.0.0", None, answer="label", new_class="ROBIN"),
        )
        assert (refused["status"], refused["text"]) == (
            "refused",
            "The classes of this project are fixed, so no class can be added.",
        )
        assert (found["status"], found["label"]) == ("stored", 1)


def test_renamed_class_keeps_its_id_and_its_labels(run: Folder) -> None:
    StepFiles(run.folder("people/steps")).write(samples(4))
    with project(run) as one:
        one.open_step(samples(4), 0, OPEN)
        send_one(one, answer(1, "0.1.0", 1))
        before = ledger(run, samples(4))
        state = one.rename_class("ana", 1, "  European   robin ")
        assert state["classes"][1] == {"id": 1, "name": "European robin", "count": 1}
        assert send_one(one, answer(2, "0.1.1", None, answer="label", new_class="european robin"))["label"] == 1
        # The old name is free, so it names a new class.
        assert send_one(one, answer(3, "0.1.2", None, answer="label", new_class="robin"))["label"] == 5
        assert one.rename_class("ana", 0, "Wren")["classes"][0]["name"] == "Wren"
        one.rename_class("ana", 0, "Wren")
    assert ledger(run, samples(4))[: len(before)] == before
    events = [event for event in read_events(run) if isinstance(event, ClassRenamed)]
    assert [(event.label, event.name) for event in events] == [(1, "European robin"), (0, "Wren")]
    with project(run) as one:
        names = [known["name"] for known in one.state("ana")["classes"]]
    assert names == ["Wren", "European robin", "tit", "crow", "jay", "robin"]


@pytest.mark.parametrize(
    ("label", "name", "words"),
    [
        (0, "ROBIN", "There is a class robin already, and classes cannot be merged."),
        (5, "heron", "This class does not exist"),
        (-1, "heron", "This class does not exist"),
        (0, "  ", "cannot be empty"),
        (0, "a\u202eb", "invisible characters"),
    ],
)
def test_class_is_not_renamed(birds: Project, run: Folder, label: int, name: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        birds.rename_class("ana", label, name)
    assert read_events(run) == []


def test_fixed_class_is_not_renamed(run: Folder) -> None:
    with project(run, may_add_classes=False) as one, pytest.raises(RefusedError, match="fixed"):
        one.rename_class("ana", 0, "heron")


def test_name_with_markup_is_kept_as_it_is(run: Folder) -> None:
    name = "<img src=x onerror=alert(1)>"
    with project(run) as one:
        one.open_step(clusters(), 0, OPEN)
        send_one(one, answer(1, "0.0.0", None, answer="label", new_class=name))
    StepFiles(run.folder("people/steps")).write(clusters())
    with project(run) as one:
        assert one.state("ana")["classes"][5]["name"] == name


# The following tests open a project whose log was changed.


def answered_once(run: Folder) -> Path:
    """The file with answers about two clusters."""
    StepFiles(run.folder("people/steps")).write(clusters())
    with project(run) as one:
        one.open_step(clusters(), 0, OPEN)
        one.submit("ana", "a1", [answer(1, "0.0.0", 1), answer(2, "0.0.1", 0)])
    (file,) = Path(run.path).glob("people/answers/*.jsonl")
    return file


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('"label":1', '"label":99', "an answer is about the class 99, which nobody has named"),
        ("0.0.0", "0.0.77", "an answer is about the question 0.0.77, which is neither in people/steps nor in "),
        ("0.0.1", "h.4444", "an answer is about the question h.4444, which is neither in people/steps nor in "),
        ('"label":1', '"label":"x"', "00000001.jsonl:1: this version of raycal cannot read this line"),
        ('"label":1', '"label":-1', "00000001.jsonl:1: this version of raycal cannot read this line"),
        ('"visible_ms":', '"visible_ms":-', "00000001.jsonl:1: this version of raycal cannot read this line"),
        ('"marked":[]', '"marked":["x"]', "00000001.jsonl:1: this version of raycal cannot read this line"),
        ('"seq":2', '"seq":5', "a file with answers is missing, because the numbers 2 to 4 are in none"),
    ],
)
def test_changed_answer_is_refused(run: Folder, before: str, after: str, problem: str) -> None:
    file = answered_once(run)
    content = file.read_text()
    assert before in content
    file.write_text(content.replace(before, after, 1))

    with pytest.raises(InputError) as refused:
        project(run)
    assert problem in str(refused.value)
    file.write_text(content)  # The refusal left no lock and changed nothing.
    with project(run) as one:
        assert one.state("ana")["labeled"] > 1


def test_removed_questions_are_named(run: Folder) -> None:
    answered_once(run)
    (step,) = Path(run.path).glob("people/steps/iteration-*.json")
    step.unlink()

    with pytest.raises(InputError, match=r"question 0\.0\.0, which is neither in people/steps nor in"):
        project(run)


def test_emptied_file_of_answers_is_refused(run: Folder) -> None:
    file = answered_once(run)
    file.write_bytes(b"")

    with pytest.raises(InputError, match=r"00000001\.jsonl: is empty, but held answers"):
        project(run)


# The following tests check undo.


def test_undo_shows_the_question_again_and_restores_the_state(birds: Project) -> None:
    page = Page(birds, "ana", "a1", iter_ids())
    page.fill()
    before = birds.state("ana")
    first = page.held[0]
    page.answer(answer="label", label=3, marked=[])
    receipt = send_one(birds, undo(77))

    assert receipt["status"] == "stored"
    assert receipt["question"] == first
    assert receipt["text"] == "Taken back: 10 images as crow"
    assert {**birds.state("ana"), "minutes_left": None} == {**before, "minutes_left": None}
    assert ask(birds, "b1", 9) == [f"0.0.{number}" for number in range(3, 10)]  # Ana holds the first three questions.


def test_undo_goes_back_any_number_of_answers(birds: Project) -> None:
    send(birds, *(answer(number, f"0.0.{number}") for number in range(5)))
    receipts = send(birds, *(undo(100 + number) for number in range(6)))

    assert [receipt["question"]["id"] for receipt in receipts[:5]] == [f"0.0.{number}" for number in (4, 3, 2, 1, 0)]
    assert (receipts[5]["status"], receipts[5]["text"]) == (
        "refused",
        "There is no answer that you could take back.",
    )
    assert birds.state("ana")["answered"] == 0
    assert birds.state("ana")["labeled"] == 0


def test_everybody_takes_back_only_own_answers(birds: Project) -> None:
    assert not birds.state("ana")["can_undo"]
    send_one(birds, answer(1, "0.0.0"))
    assert [birds.state(who)["can_undo"] for who in ("ana", "bo")] == [True, False]

    assert send_one(birds, undo(2), who="bo")["status"] == "refused"
    assert send_one(birds, undo(3), who="ana")["question"]["id"] == "0.0.0"


def test_undo_over_a_split(birds: Project, run: Folder) -> None:
    before = birds.state("ana")
    send_one(birds, answer(1, "0.0.0", None, answer="split"))
    assert ask(birds, "a1", 3) == ["0.0.0.0", "0.0.0.1", "0.0.1"]
    send_one(birds, answer(2, "0.0.0.1", 4))
    assert send_one(birds, undo(3))["question"]["half_of"] == "0.0.0"
    receipt = send_one(birds, undo(4))

    assert receipt["question"]["id"] == "0.0.0"
    assert receipt["question"]["half_of"] is None
    after = birds.state("ana")
    assert (after["answered"], after["labeled"]) == (before["answered"], before["labeled"]) == (0, 0)
    assert ask(birds, "b1", 99) == [f"0.0.{number}" for number in range(2, 10)]  # There are no halves any more.
    assert send_one(birds, answer(5, "0.0.0.0"))["status"] == "refused"
    assert ledger(run, clusters()) == []


def test_split_stays_when_somebody_else_has_answered_a_half(birds: Project) -> None:
    send_one(birds, answer(1, "0.0.0", None, answer="split"))
    send_one(birds, answer(2, "0.0.0.0", 1), who="bo", client="b1")

    receipt = send_one(birds, undo(3))
    assert (receipt["status"], receipt["text"]) == (
        "refused",
        "Somebody has already answered about a part of this cluster, so it stays split.",
    )
    send_one(birds, undo(4), who="bo", client="b1")
    assert send_one(birds, undo(5))["question"]["id"] == "0.0.0"


def test_undo_after_the_close_is_refused(birds: Project, run: Folder) -> None:
    send(birds, *(answer(number, f"0.0.{number}") for number in range(10)))
    receipt = send_one(birds, undo(11))

    assert (receipt["status"], receipt["text"]) == (
        "refused",
        "Your last answer belongs to a step that is closed, so it cannot be taken back any more.",
    )
    assert not birds.state("ana")["can_undo"]
    assert len(ledger(run, clusters())) == 10


# The following tests check rounds.


def test_last_answer_closes_the_step_in_the_same_write(birds: Project, run: Folder) -> None:
    send(birds, *(answer(number, f"0.0.{number}") for number in range(9)))
    assert not birds.wait_closed(0)
    send_one(birds, answer(9, "0.0.9"))

    assert birds.wait_closed(0)
    assert len(run.folder(ANSWERS).names()) == 2
    last = read_events(run)[-1]
    assert isinstance(last, Closed)
    assert (last.iteration, last.step, last.seq) == (0, 0, 11)
    assert ask(birds, "a1", 3) == []


def test_waiting_thread_is_woken_by_the_last_answer(birds: Project) -> None:
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(birds.wait_closed(60)))
    thread.start()
    send(birds, *(answer(number, f"0.0.{number}", None) for number in range(10)))
    thread.join(10)

    assert woken == [True]


def test_step_is_closed_only_when_that_is_on_disk(birds: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the step was closed before the event is on the disk, a worker could be started that does not find the last
    answers."""
    is_writing, may_go_on = threading.Event(), threading.Event()
    write = Folder.write

    def slow(folder: Folder, name: str, content: bytes) -> None:
        is_writing.set()
        assert may_go_on.wait(60)
        write(folder, name, content)

    monkeypatch.setattr(Folder, "write", slow)
    thread = threading.Thread(target=send, args=(birds, *(answer(number, f"0.0.{number}") for number in range(10))))
    thread.start()
    assert is_writing.wait(60)
    assert not birds.wait_closed(0.05)
    may_go_on.set()
    assert birds.wait_closed(60)
    thread.join()


def test_guess_comes_with_the_question_and_the_log_says_who_looked_at_it(run: Folder) -> None:
    step = samples(4)
    guesses = [2, None, 5, 0]  # there is no class 5
    guessed = replace(step, first=tuple(map(lambda one, guess: replace(one, guess=guess), step.first, guesses)))
    StepFiles(run.folder("people/steps")).write(guessed)
    with project(run, holdout=1) as one:
        one.open_step(guessed, 0, OPEN, halve=halve)
        questions = {question["id"]: question for question in one.next("ana", "a1", [], 9)["questions"]}
        assert {key: question["guess"] for key, question in questions.items()} == {
            "h.0": None,
            **{"0.1.0": 2, "0.1.1": None, "0.1.2": None, "0.1.3": 0},
        }
        send(one, *(answer(number, key, suggestion_shown=True) for number, key in enumerate(questions)))
        looked = {event.question: event.suggestion_shown for event in read_events(run) if isinstance(event, Answered)}
    assert looked == {"h.0": False, "0.1.0": True, "0.1.1": False, "0.1.2": False, "0.1.3": True}


def test_late_answer_is_kept_and_in_no_ledger(birds: Project, run: Folder) -> None:
    send_one(birds, answer(1, "0.0.0"))
    birds.close_round("ana")
    receipt = send_one(birds, answer(2, "0.0.1"), who="bo")

    assert (receipt["status"], receipt["seq"]) == ("late", 3)
    assert receipt["text"] == "10 images as wren; the step was closed before, so this is kept but not counted in it"
    assert len(ledger(run, clusters())) == 1
    assert [event.id for event in fold(read_events(run)).late] == [event_id(2)]
    assert send_one(birds, answer(2, "0.0.1"), who="bo") == receipt


def test_second_answer_is_kept_as_a_second_opinion(birds: Project, run: Folder) -> None:
    send_one(birds, answer(1, "0.0.0", 1))
    receipt = send_one(birds, answer(2, "0.0.0", 2), who="bo")

    assert receipt["status"] == "second"
    assert ledger(run, clusters())[0][3] == 1
    assert fold(read_events(run)).second_opinions["0.0.0"][0].label == 2
    assert birds.state("ana")["answered"] == 1


def test_round_is_closed_only_when_the_model_can_learn(run: Folder) -> None:
    with project(run, holdout=5) as one:
        with pytest.raises(RefusedError, match="No round is open"):
            one.close_round("ana")
        one.open_step(clusters(), 0, OPEN)
        send_one(one, answer(1, "0.0.0", None))
        with pytest.raises(RefusedError, match="Nothing was labeled in this round"):
            one.close_round("ana")
        send_one(one, answer(2, "0.0.1", 1))
        send_one(one, answer(3, "h.0", None))
        with pytest.raises(RefusedError, match="No image of the hold-out has a label"):
            one.close_round("ana")
        send_one(one, answer(4, "h.1", 1))
        assert not one.wait_closed(0)
        assert one.close_round("ana")["answered"] == 2
        assert one.wait_closed(0)
        with pytest.raises(RefusedError, match="No round is open"):
            one.close_round("ana")
    last = read_events(run)[-1]
    assert isinstance(last, Closed)
    assert (last.iteration, last.step) == (0, None)


def test_step_without_questions_is_closed_at_once(run: Folder) -> None:
    with project(run) as one:
        one.open_step(clusters(0), 0, OPEN)
        assert one.wait_closed(0)


def test_restarted_project_goes_on_where_it_was(run: Folder) -> None:
    files = StepFiles(run.folder("people/steps"))
    files.write(clusters(3))
    files.write(samples(4))
    with project(run, holdout=4) as one:
        one.open_step(clusters(3), 0, OPEN, halve=halve)
        send(one, answer(1, "h.2", 1), answer(2, "h.0", None), answer(3, "0.0.0", None, answer="split"))
        send(one, answer(4, "0.0.0.0", 1), answer(5, "0.0.2", 2))
        assert one.wait_closed(0)
        one.open_step(samples(4), 0, OPEN)
        send(one, answer(6, "0.1.0", 4))
        before = one.state("ana")
    with project(run, holdout=4) as one:
        # This answer arrives before the rounds have started.
        assert send_one(one, answer(7, "0.1.1", 3))["status"] == "stored"
        one.open_step(samples(4), 0, OPEN)
        after = one.state("ana")
        assert after["epoch"] != before["epoch"]
        assert (before["round_answered"], after["round_answered"]) == (4, 5)
        assert (before["answered"], after["answered"]) == (1, 2)
        assert (before["labeled"], after["labeled"]) == (5 + SIZE + 1 + 1, 5 + SIZE + 1 + 2)
        assert after["holdout"] == {"size": 4, "answered": 2, "first": 4}
        send(one, answer(8, "0.1.2"), answer(9, "0.1.3"))
        assert one.wait_closed(0)
    with project(run, holdout=4) as one:
        one.open_step(samples(4), 0, OPEN)
        assert one.wait_closed(0)


def iter_ids() -> Any:
    numbers = count(1000)
    return lambda: UUID(int=next(numbers)).hex


@pytest.mark.parametrize("seed", range(4))
def test_one_and_five_people_give_the_same_rows(tmp_path: Path, seed: int) -> None:
    """Clusters with marks, refusals and splits, and then samples; the budget is large enough for all halves."""
    steps = (clusters(12, budget=400), samples(15))

    def label(run: Folder, people: str, rng: random.Random) -> list[Any]:
        with project(run) as one:
            pages = [Page(one, person, f"{person}1", ids) for ids in [iter_ids()] for person in people]
            answered: list[str] = []
            for step in steps:
                one.open_step(step, 0, OPEN, halve=halve)
                for _ in range(10_000):
                    if one.wait_closed(0):
                        break
                    page = rng.choice(pages)
                    page.fill(rng.choice([1, 2, 4]))
                    if page.held and rng.random() < 0.9:
                        answered.append(page.held[0]["id"])
                        assert page.answer()["status"] == "stored"
                    elif not page.held:
                        assert page.wait
                else:
                    raise AssertionError("the step was never closed")
            assert len(answered) == len(set(answered))
        return [ledger(run, step) for step in steps]

    alone = label(Folder.at(str(tmp_path / "one")), "a", random.Random(0))
    together = label(Folder.at(str(tmp_path / "five")), "abcde", random.Random(seed))

    assert together == alone
    assert len(alone[0]) > 12
    assert len(alone[1]) == 15


def test_budget_is_never_exceeded(tmp_path: Path) -> None:
    step = clusters(12, budget=12)
    for seed in range(5):
        run, rng = Folder.at(str(tmp_path / str(seed))), random.Random(seed)
        with project(run) as one:
            ids = iter_ids()
            pages = [Page(one, person, f"{person}1", ids) for person in "abcde"]
            one.open_step(step, 0, OPEN, halve=halve)
            while not one.wait_closed(0):
                page = rng.choice(pages)
                page.fill()
                if page.held:
                    # No answer is late, because the pages never hold more questions than may be answered.
                    assert page.answer()["status"] == "stored"
        assert len(ledger(run, step)) == 12


def test_pages_hold_no_more_questions_than_may_be_answered(run: Folder) -> None:
    """Therefore nobody looks at a cluster when the step closes. A half of a cluster is given before a question that
    another page only holds in memory."""
    with project(run) as one:
        one.open_step(clusters(5, budget=5), 0, OPEN, halve=halve)
        assert ask(one, "a1", 1) == ["0.0.0"]
        send_one(one, answer(1, "0.0.0", None, answer="split"), who="a", client="a1")
        held = ["0.0.1", "0.0.2", "0.0.3", "0.0.4"]
        assert ask(one, "b1", 9) == held
        assert ask(one, "a1", 9) == []  # Page b1 is asked to give up a question first.
        assert one.next("b", "b1", held, 9) == {"questions": [], "lost": ["0.0.4"], "wait": None}
        assert ask(one, "a1", 9) == []
        one.release("b1", ["0.0.4"])
        assert ask(one, "a1", 9) == ["0.0.0.0"]

        assert ask(one, "c1", 1) == []
        assert one.next("b", "b1", held[:3], 9)["lost"] == ["0.0.3"]
        assert ask(one, "b1", 9, held[:2]) == []  # Page b1 has dropped the question, and does not get it again.
        assert one.next("cy", "c1", [], 1)["questions"][0]["id"] == "0.0.3"
        assert one.next("di", "d1", [], 1)["wait"] == "3 other people are still answering 4 questions."


def test_board_says_the_same_as_the_fold(tmp_path: Path) -> None:
    """Three people answer, split and undo at random: the state that the server keeps equals what the worker reads."""
    run, rng, ids = Folder.at(str(tmp_path)), random.Random(3), iter_ids()
    step = clusters(8, budget=60)
    with project(run) as one:
        one.open_step(step, 0, OPEN, halve=halve)
        questions = [f"0.0.{number}" for number in range(8)]
        names = questions + [f"{name}.{half}" for name in questions for half in (0, 1)]
        for _ in range(400):
            who = rng.choice(["ana", "bo", "cy"])
            if rng.random() < 0.4:
                event = {"type": "undone", "id": ids()}
            else:
                kind = rng.choice(["label", "label", "refused", "split"])
                label = rng.randrange(5) if kind == "label" else None
                event = answer(0, rng.choice(names), label, answer=kind, id=ids())
            send_one(one, event, who=who)
        book = fold(read_events(run), CLASSES)
        board = one.memory.board.steps[0, 0]
        expected = book.replies(step)
        assert set(board.replies) == set(expected)
        assert [one.id for one in board.waiting()][: board.left] == [one.id for one in step.open_questions(expected)]
        labels = np.full(len(TRAIN_ROWS), -1)
        for row in step.rows(expected, spent=0):
            if row.label is not None:
                labels[row.indices] = row.label
        assert one.memory.board.labels.tolist() == labels.tolist()
        rebuilt = Board(
            class_names=CLASSES, num_pool=len(TRAIN_ROWS), num_holdout=0, steps=[step], events=read_events(run)
        )
        assert rebuilt.labels.tolist() == labels.tolist()


# The following tests check the hold-out.


def test_holdout_comes_first_and_fills_the_time_in_which_the_model_works(run: Folder) -> None:
    with project(run, holdout=30) as one:
        page = Page(one, "ana", "a1", iter_ids())
        purposes = []
        page.fill(1)
        for _ in range(5):  # No round has a question yet.
            purposes.append(page.held[0]["purpose"])
            page.answer(answer="label", label=0)
            page.fill(1)
        one.open_step(samples(8), 0, OPEN)
        while page.held:
            purposes.append(page.held[0]["purpose"])
            page.answer(answer="label", label=0)
            page.fill(1)
        assert purposes == ["holdout"] * 20 + ["round"] * 8 + ["holdout"] * 10
        assert one.state("ana")["holdout"] == {"size": 30, "answered": 30, "first": 20}
        assert one.state("ana")["labeled"] == 38


def test_holdout_question_shows_an_image_of_the_test_split(run: Folder) -> None:
    with project(run, holdout=30) as one:
        questions = one.next("ana", "a1", [], 30)["questions"]
        positions = [int(question["id"].removeprefix("h.")) for question in questions]
        assert sorted(positions) == list(range(30))
        assert positions != sorted(positions)  # The first questions are a random sample of the hold-out.
        assert [question["image"] for question in questions] == TEST_ROWS[positions].tolist()
        assert {(question["kind"], question["purpose"], question["size"]) for question in questions} == {
            ("sample", "holdout", 1)
        }


def test_people_share_the_first_questions_of_the_holdout(run: Folder) -> None:
    with project(run, holdout=60) as one:
        one.open_step(samples(8), 0, OPEN)
        got = [ask(one, f"{name}1", 7) for name in "abcd"]
        assert [sum(question.startswith("h.") for question in of) for of in got] == [7, 7, 6, 0]
        assert len({question for of in got for question in of}) == 28


def test_finished_project_asks_nothing(run: Folder) -> None:
    with project(run, holdout=30) as one:
        one.open_step(None, 3, "finished")
        assert one.next("ana", "a1", [], 3) == {
            "questions": [],
            "lost": [],
            "wait": "All rounds are finished. Thank you!",
        }


# The following tests have several people.


def test_page_that_is_gone_frees_its_question(run: Folder) -> None:
    clock = Clock()
    with project(run, clock=clock) as one:
        one.open_step(samples(1), 0, OPEN)
        assert ask(one, "ana", 1) == ["0.1.0"]
        assert one.next("bo", "b1", [], 1)["wait"] == "1 other person is still answering 1 question."
        clock.now += 44
        one.heartbeat("bo", "b1", [])
        assert ask(one, "b1", 1) == []
        clock.now += 2
        assert ask(one, "b1", 1) == ["0.1.0"]
        assert one.heartbeat("a", "ana", ["0.1.0"]) == {"lost": ["0.1.0"]}


def test_other_page_of_a_person_is_not_another_person(run: Folder) -> None:
    with project(run) as one:
        one.open_step(samples(3), 0, OPEN)
        assert len(one.next("ana", "a1", [], 2)["questions"]) == 2
        assert len(one.next("bo", "b1", [], 1)["questions"]) == 1
        # Ana reloads the page, and the message with which the old page gives its questions back is still on its way.
        assert one.next("ana", "a2", [], 1)["wait"] == "1 other person is still answering 1 question."
        one.release("b1")
        assert len(one.next("ana", "a1", ["0.1.0", "0.1.1"], 1)["questions"]) == 1
        words = "Another page of yours has 3 questions, which come here within a minute if it is closed."
        assert one.next("ana", "a2", [], 1)["wait"] == words
        assert one.state("ana")["people"] == 1
        one.release("a1")
        assert len(one.next("ana", "a2", [], 3)["questions"]) == 3


def test_waiting_page_is_told_why(run: Folder) -> None:
    with project(run) as one:
        assert one.next("ana", "a1", [], 1)["wait"] == "The model prepares the next questions."
        one.open_step(None, 0, TRAINING, "The model trains; it takes about 3 minutes.")
        assert one.next("ana", "a1", [], 1)["wait"] == "The model trains; it takes about 3 minutes."
        one.open_step(samples(3), 0, OPEN)
        assert ask(one, "a1", 1) + ask(one, "b1", 1) + ask(one, "c1", 1) == ["0.1.0", "0.1.1", "0.1.2"]
        assert one.next("dan", "d1", [], 1)["wait"] == "3 other people are still answering 3 questions."
        one.release("b1", ["0.1.1"])
        assert ask(one, "d1", 1) == ["0.1.1"]
        one.release("a1")
        assert ask(one, "e1", 1) == ["0.1.0"]


def test_halves_go_first_to_whom_the_cluster_came_from(birds: Project) -> None:
    assert ask(birds, "a1", 1) == ["0.0.0"]
    send_one(birds, answer(1, "0.0.0", None, answer="split"), who="a", client="a1")
    assert ask(birds, "b1", 2) == ["0.0.1", "0.0.2"]
    assert ask(birds, "a1", 3) == ["0.0.0.0", "0.0.0.1", "0.0.3"]


def test_pages_hear_of_questions_that_are_given_back(birds: Project) -> None:
    """A page that waits asks again when the state has changed."""
    ask(birds, "a1", 2)
    seen, people = birds.num_changes, birds.state("b")["people"]
    birds.release("a1")

    assert birds.num_changes > seen
    assert birds.state("b")["people"] == people - 1


def test_questions_of_a_closed_step_are_dropped(birds: Project) -> None:
    held = ask(birds, "a1", 3)
    send_one(birds, answer(1, "0.0.7"), who="b", client="b1")
    birds.close_round("b")

    assert birds.next("a", "a1", held, 3) == {
        "questions": [],
        "lost": held,
        "wait": "The model takes over in a moment.",
    }


def together(*calls: Any) -> list[Any]:
    barrier, outcomes = threading.Barrier(len(calls)), list[Any]()

    def run_one(call: Any) -> None:
        barrier.wait()
        outcomes.append(call())

    threads = [threading.Thread(target=run_one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_fifty_people_at_once_are_all_stored_once(run: Folder) -> None:
    with project(run, group_seconds=0.01) as one:
        one.open_step(clusters(60, size=10), 0, OPEN)

        def label(person: int) -> list[dict[str, Any]]:
            return [
                send_one(one, answer(10 * person + number, f"0.0.{person}"), who=f"p{person}", client=f"c{person}")
                for number in range(4)
            ]

        receipts = together(*(lambda person=person: label(person) for person in range(50)))
    events = read_events(run)
    assert [event.seq for event in events] == list(range(1, 201))
    assert len({event.id for event in events}) == 200
    assert {receipt["seq"] for of in receipts for receipt in of} == set(range(1, 201))
    assert sorted(receipt["status"] for of in receipts for receipt in of) == ["second"] * 150 + ["stored"] * 50
    assert len(run.folder(ANSWERS).names()) < 150  # Several answers share a write.


# The following tests cause errors of the disk.


def test_full_disk_acknowledges_nothing_and_works_again_afterwards(
    birds: Project, run: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    send_one(birds, answer(1, "0.0.0", None, answer="split"))
    before = birds.state("ana")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        for _ in range(2):
            with pytest.raises(NotStoredError, match="No space left on device"):
                send(birds, answer(2, "0.0.0.0", None, answer="label", new_class="heron"), undo(3), answer(4, "0.0.1"))
            with pytest.raises(OSError):
                send(birds, *(answer(number, f"0.0.{number - 10}") for number in range(10, 20)))
        # An event that is in the log already is not written again, so it succeeds although the disk is full.
        send(birds, answer(1, "0.0.0", None, answer="split"))
    assert birds.state("ana") == before
    assert not birds.wait_closed(0)
    receipts = send(birds, answer(2, "0.0.0.0", 1), answer(4, "0.0.1"))
    assert [(receipt["status"], receipt["seq"]) for receipt in receipts] == [("stored", 2), ("stored", 3)]
    assert [event.seq for event in read_events(run)] == [1, 2, 3]
    assert birds.state("ana")["answered"] == 3


def test_failed_close_leaves_the_round_open(birds: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    send_one(birds, answer(1, "0.0.0"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        with pytest.raises(NotStoredError):
            birds.close_round("ana")
    assert not birds.wait_closed(0)
    assert send_one(birds, answer(2, "0.0.1"))["status"] == "stored"
    birds.close_round("ana")
    assert birds.wait_closed(0)


def test_second_server_is_refused(birds: Project, run: Folder) -> None:
    with pytest.raises(InputError, match="another process is serving this project"):
        project(run)


# The following tests check what a page gets from the server.


def test_cluster_is_shown_in_bands(run: Folder) -> None:
    step = clusters(2, size=212)
    with project(run) as one:
        one.open_step(step, 0, OPEN)
        (question,) = one.next("ana", "a1", [], 1)["questions"]
        shown, rows = question["bands"], TRAIN_ROWS[step.first[0].by_distance].tolist()
        assert {key: question[key] for key in ("id", "kind", "purpose", "size", "half_of")} == {
            "id": "0.0.0",
            "kind": "cluster",
            "purpose": "round",
            "size": 212,
            "half_of": None,
        }
        assert (shown["nearest"], shown["farthest"]) == (rows[:4], rows[-8:])
        assert len(shown["random"]) == 24
        pages = [one.more("ana", "0.0.0", page)["images"] for page in range(9)]
        assert [len(page) for page in pages] == [24] * 7 + [8, 0]
        between = shown["random"] + [row for page in pages for row in page]
        assert sorted(between) == sorted(rows[4:-8])
        assert between != rows[4:-8]
        assert one.more("ana", "0.0.0", 3)["images"] == pages[3]
        with pytest.raises(RefusedError, match="does not exist"):
            one.more("ana", "0.0.9", 0)


@pytest.mark.parametrize("step", [clusters(2, size=212), clusters(4, size=7), samples(5)])
def test_images_of_a_step_are_listed_in_the_order_in_which_people_see_them(run: Folder, step: StepQuestions) -> None:
    with project(run) as one:
        one.open_step(step, 0, OPEN)
        questions = one.next("ana", "a1", [], 9)["questions"]

    shown = [row for question in questions for row in rows_of(question)]
    assert first_shown(step, TRAIN_ROWS) == shown


def test_small_cluster_is_shown_as_a_whole(run: Folder) -> None:
    step = clusters(2, size=36)
    with project(run) as one:
        one.open_step(step, 0, OPEN)
        (question,) = one.next("ana", "a1", [], 1)["questions"]
        assert rows_of(question) == TRAIN_ROWS[step.first[0].by_distance].tolist()
        assert "bands" not in question
        assert one.more("ana", "0.0.0", 0) == {"images": []}


REST = {"interactions": 30, "unlabeled": 480, "cluster_labeled": 90}  # further values of a line of results.jsonl


def test_round_without_a_measured_accuracy_is_not_shown(run: Folder) -> None:
    line = {"iteration": 0, "test_accuracy": float("nan"), "annotated": 120, "human_seconds": 90.0, **REST}
    run.write("results.jsonl", json.dumps(line).encode() + b"\n")
    with project(run, holdout=40) as one:
        assert one.state("ana")["results"] == []


def test_state_keeps_the_results_while_the_model_learns_again(run: Folder) -> None:
    lines = [
        json.dumps({"iteration": at, "test_accuracy": accuracy, "annotated": 120, "human_seconds": 90.0, **REST}) + "\n"
        for at, accuracy in enumerate((0.7, 0.9, 0.95))
    ]

    def accuracies(one: Project, *, finished: int) -> list[float]:
        run.write("results.jsonl", "".join(lines[:finished]).encode())
        one.open_step(None, 2, "training")
        return [result["accuracy"] for result in one.state("ana")["results"]]

    run.write("results.jsonl", "".join(lines[:2]).encode())
    with project(run) as one:
        assert one.state("ana")["rounds_before"] == 2
        assert [accuracies(one, finished=number) for number in (0, 1, 2)] == [[0.7, 0.9]] * 3
        assert accuracies(one, finished=3) == [0.7, 0.9, 0.95]
        assert one.state("ana")["progress"]["rounds_left"] == 0
        assert one.state("ana")["rounds_before"] == 2


def test_state_has_what_the_page_shows(run: Folder) -> None:
    line = {"iteration": 0, "test_accuracy": 0.9, "annotated": 120, "human_seconds": 90.0, **REST}
    run.write("results.jsonl", json.dumps(line).encode() + b"\n")
    with project(run, holdout=40) as one:
        send(one, *(answer(500 + number, f"h.{number}", 0) for number in range(40)))
        one.open_step(clusters(5), 0, OPEN)
        send(one, *(answer(number, f"0.0.{number}", 2) for number in range(3)))
        one.next("ana", "a1", [], 1)
        state = one.state("ana")
    assert {key: state[key] for key in ("project", "who", "phase", "iteration", "rounds", "step", "kind")} == {
        "project": "birds",
        "who": "ana",
        "phase": "open",
        "iteration": 0,
        "rounds": 3,
        "step": 0,
        "kind": "cluster",
    }
    assert len(state["project_id"]) == 16  # The id distinguishes projects of the same name in a browser.
    assert (state["answered"], state["budget"], state["round_answered"], state["people"]) == (3, 30, 3, 1)
    assert state["minutes_left"] == pytest.approx(27 * 1.0 / 60)
    assert [entry["count"] for entry in state["classes"]] == [40, 0, 30, 0, 0]
    assert (state["labeled"], state["total"]) == (70, len(TRAIN_ROWS) + 40)
    (result,) = state["results"]
    assert (result["accuracy"], result["annotated"], result["human_minutes"]) == (0.9, 120, 1.5)
    # The model is right about 36 of 40 test images.
    assert (round(result["low"], 4), round(result["high"], 4)) == (0.7695, 0.9604)
    assert result["num_test"] == 40
    assert (state["progress"]["rounds_left"], state["progress"]["samples_left"], state["progress"]["stop"]) == (
        *(2, 570),
        None,
    )
    assert json.dumps(state, allow_nan=False)
