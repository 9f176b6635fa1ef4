"""People look again at samples whose labels differ, and their answers hold from the next round on."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from small_project import TRAIN_ROWS, Page, answer, event_id, project, samples, undo

from raycal.algorithm.questions import StepQuestions
from raycal.errors import InputError
from raycal.people.amendments import AMENDMENTS, AmendmentFiles, looks_of
from raycal.people.answered import AnsweredByPeople
from raycal.people.checks import CheckRates
from raycal.people.events import Answered, Purpose
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.memory import OPEN, TRAINING
from raycal.people.prices import timed_answers
from raycal.people.project import Project
from raycal.people.quality import labels_of_people
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder
from raycal.storage.out_of_fold import OUT_OF_FOLD, OutOfFold, out_of_fold_file, out_of_fold_name

LOOKS = CheckRates(look_again=0.05, share=0.1)
# The samples that the first questions of `samples()` ask about.
FIRST, SECOND = 300, 307


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    folder = Folder.at(str(tmp_path / "run"))
    StepFiles(folder.folder(STEPS)).write(samples(5))
    return folder


@pytest.fixture
def ids() -> Callable[[], str]:
    numbers = count(10_000)
    return lambda: event_id(next(numbers))


def disagree(birds: Project, *, number: int = 2, step: StepQuestions | None = None) -> None:
    """Let Ana and Ben label a step, and give different labels to its first samples, the first one twice."""
    step = step or samples(5)
    birds.open_step(step, step.iteration, OPEN)
    at = 100 * step.iteration
    for place, question in enumerate(step.first):
        if place == 4:  # the last answer closes the step
            for other in range(number):
                birds.submit("ben", "b1", [answer(at + 50 + other, step.first[other].id, 1)])
            birds.submit("cid", "c1", [answer(at + 60, step.first[1].id, 2)])
        birds.submit("ana", "a1", [answer(at + place, question.id, 0)])
    birds.open_step(None, step.iteration, TRAINING)


def looks(run: Folder) -> list[tuple[str, str, int | None]]:
    events = [one for one in read_events(run) if isinstance(one, Answered) and one.purpose is Purpose.LOOK_AGAIN]
    return [(one.who, one.question, one.label) for one in events]


def in_force(run: Folder, iteration: int) -> dict[int, int]:
    return dict(AnsweredByPeople(run, lambda: iteration).amendments(iteration))


def test_page_looks_again_while_the_model_trains(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        first, second = page.held
        # Two people gave the second sample another label, so it comes first.
        assert [one["image"] for one in page.held] == TRAIN_ROWS[[SECOND, FIRST]].tolist()
        assert (sorted(first["choices"]), sorted(second["choices"])) == ([0, 1, 2], [0, 1])
        assert first.keys() == {"id", "kind", "purpose", "size", "image", "half_of", "guess", "choices"}
        assert (first["purpose"], first["kind"], first["guess"]) == ("look_again", "sample", None)
        assert not any(who in json.dumps(page.held) for who in ("ana", "ben", "cid"))
        shown = [one["choices"] for one in page.held]
        assert page.answer(answer="label", label=2)["text"] == "1 image as tit"
        assert page.answer(answer="unsure", label=None)["text"] == "1 image left open"
        page.fill()
        assert (page.held, page.wait) == ([], "The model is being trained, which takes about a minute.")
    assert looks(run) == [("ben", f"look_again.{SECOND}", 2), ("ben", f"look_again.{FIRST}", None)]

    with project(run, checks=LOOKS) as birds:  # a server that starts again makes the same queue
        assert birds.memory.checks.due("ana", 9) == []
        again = [birds.memory.questions.describe(f"look_again.{one}")["choices"] for one in (SECOND, FIRST)]
        assert again == shown


def keep_predictions(run: Folder, iteration: int, **of_label: float) -> None:
    """Write predictions of a model that is sure that each of some samples, such as `s300`, has the class 3, and not the
    class 0, whose probability is given."""
    chosen = [int(name[1:]) for name in of_label]
    sure = np.array([0.6, *(1 - value for value in of_label.values())], np.float32)
    predictions = OutOfFold(
        sample=np.array([599, *chosen], np.int32),
        label=np.array([3] + [0] * len(chosen), np.int32),
        predicted=np.full(len(sure), 3, np.int32),
        of_predicted=sure,
        of_label=np.array([0.6, *of_label.values()], np.float32),
    )
    run.folder(OUT_OF_FOLD).write(out_of_fold_name(iteration), out_of_fold_file(predictions))


def test_page_looks_again_at_labels_that_the_model_doubts(run: Folder, ids: Callable[[], str]) -> None:
    third, fourth = SECOND + 7, SECOND + 14
    with project(run, checks=LOOKS) as birds:
        disagree(birds, number=0)  # Only Cid gave the second sample another label.
        assert birds.memory.checks.due("ana", 9) == [f"look_again.{SECOND}"]
        keep_predictions(run, 0, s314=0.3, s321=0.2)
        birds.open_step(None, 1, TRAINING)
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        assert [one["image"] for one in page.held] == TRAIN_ROWS[[SECOND, fourth, third]].tolist()
        assert [sorted(one["choices"]) for one in page.held] == [[0, 2], [0, 3], [0, 3]]
        assert page.held[1].keys() == {"id", "kind", "purpose", "size", "image", "half_of", "guess", "choices"}
        assert page.held[1]["guess"] is None
        for label in (0, 3, 0):
            page.answer(answer="label", label=label)
        keep_predictions(run, 1, s314=0.3, s300=0.1)  # Nobody looks twice.
        birds.open_step(None, 2, TRAINING)
        waiting = birds.memory.checks.due("ana", 9)
        assert waiting == [f"look_again.{FIRST}"]
    with project(run, checks=LOOKS) as birds:
        assert birds.memory.checks.due("ana", 9) == waiting
    assert in_force(run, 1) == {fourth: 3}


def test_model_is_not_asked_if_nobody_looks_again(run: Folder) -> None:
    keep_predictions(run, 0, s300=0.1)
    with project(run, checks=CheckRates(repeats=0.05, share=0.1)) as birds:
        disagree(birds, number=0)
        assert birds.memory._doubts == {}


def test_queue_is_the_same_after_a_restart(run: Folder) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        before = birds.memory.checks.due("ana", 9)
    with project(run, checks=LOOKS) as birds:
        assert birds.memory.checks.due("ana", 9) == before == [f"look_again.{SECOND}", f"look_again.{FIRST}"]


def test_rate_of_zero_asks_nothing_again(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(repeats=0.05, share=0.1)) as birds:
        disagree(birds)
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        assert page.held == []


def test_looks_come_in_between_at_their_rate(run: Folder, ids: Callable[[], str]) -> None:
    many = samples(100, iteration=1, start=0)
    StepFiles(run.folder(STEPS)).write(many)
    with project(run, checks=CheckRates(look_again=0.05, share=0.5)) as birds:
        disagree(birds, number=4)
        birds.open_step(many, 1, OPEN)
        page = Page(birds, "ana", "a1", ids)
        asked = []
        for _ in range(60):
            page.fill(1)
            asked.append(page.held[0]["purpose"])
            page.answer()
    # Ten answers were given before, and the rate is one look for each twenty other answers.
    places = [place for place, purpose in enumerate(asked) if purpose == "look_again"]
    assert len(places) == 3
    for number, place in enumerate(places):
        assert place + 10 - number >= 20 * (number + 1)


def test_look_is_taken_back_and_asked_again(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        first = page.held[0]
        page.answer(answer="label", label=4)
        (receipt,) = birds.submit("ben", "b1", [undo(9000)])
        assert (receipt["status"], receipt["question"]) == ("stored", first)
        assert birds.memory.checks.due("ben", 9) == [f"look_again.{SECOND}", f"look_again.{FIRST}"]
        (receipt,) = birds.submit("ben", "b1", [answer(9001, first["id"], 3)])
        assert receipt["status"] == "stored"
    assert in_force(run, 1) == {SECOND: 3}


def test_only_samples_of_d_l_can_be_looked_at_again(run: Folder) -> None:
    with project(run) as birds:
        disagree(birds)
        (receipt,) = birds.submit("ana", "a1", [answer(9000, "look_again.301", 1)])
        assert receipt["status"] == "refused"
        (receipt,) = birds.submit("ana", "a1", [answer(9001, "look_again.99999", 1)])
        assert receipt["status"] == "refused"


def test_amendment_holds_from_the_next_round_on(run: Folder) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        waiting = AnsweredByPeople(run, lambda: 0)  # the worker that trains has read the log already
        birds.submit("dan", "d1", [answer(9000, f"look_again.{SECOND}", 2), answer(9001, f"look_again.{FIRST}", 0)])
        assert waiting.amendments(0) == {}  # that round has begun, so its labels do not change any more
        assert waiting.amendments(1) == {SECOND: 2}
        StepFiles(run.folder(STEPS)).write(samples(5, iteration=1, start=1))
        written = run.read(f"{AMENDMENTS}/iteration-001.json")
        disagree(birds, step=samples(5, iteration=1, start=1))
        birds.submit("dan", "d1", [answer(9002, "look_again.1", 3)])
        birds.submit("dan", "d1", [undo(9003), undo(9004), undo(9005)])  # all three looks are taken back
        birds.submit("dan", "d1", [answer(9006, "look_again.8", 4)])
        assert in_force(run, 1) == {SECOND: 2}
        assert in_force(run, 2) == {SECOND: 0, 8: 4}
    assert run.read(f"{AMENDMENTS}/iteration-001.json") == written
    assert sorted(run.folder(AMENDMENTS).names("*")) == ["iteration-001.json", "iteration-002.json"]


def test_round_without_amended_labels_has_no_file(run: Folder) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        birds.submit("cid", "c1", [answer(9000, f"look_again.{FIRST}", 0)])
        assert in_force(run, 1) == {}
        StepFiles(run.folder(STEPS)).write(samples(5, iteration=1, start=1))
        birds.submit("cid", "c1", [answer(9001, f"look_again.{SECOND}", 2)])
        assert in_force(run, 1) == {}  # the round began before the second look
    assert not run.exists(AMENDMENTS)


def test_file_of_a_round_stays_when_the_worker_is_killed_before_the_first_question(run: Folder) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        birds.submit("cid", "c1", [answer(9000, f"look_again.{SECOND}", 2)])
        assert in_force(run, 1) == {SECOND: 2}
        birds.submit("cid", "c1", [undo(9001), answer(9002, f"look_again.{FIRST}", 1)])
        assert in_force(run, 1) == {SECOND: 2}
        assert in_force(run, 2) == {SECOND: 0, FIRST: 1}


def test_class_that_the_network_does_not_have_yet_waits_for_one_round(run: Folder) -> None:
    with project(run, checks=LOOKS, class_names=("wren", "robin", "tit")) as birds:
        disagree(birds)
        birds.submit("cid", "c1", [answer(9000, f"look_again.{FIRST}", None, answer="label", new_class="owl")])
        birds.submit("cid", "c1", [answer(9001, f"look_again.{SECOND}", 1)])
    book = fold(read_events(run), ("wren", "robin", "tit"))
    files = AmendmentFiles(run)
    assert book.classes == ("wren", "robin", "tit", "owl")
    assert files.write(1, book, [samples(5)], num_classes=3) == {SECOND: 1}
    assert files.write(2, book, [samples(5)], num_classes=4) == {FIRST: 3, SECOND: 1}
    assert files.read_all() == {1: {SECOND: 1}, 2: {FIRST: 3, SECOND: 1}}


def test_damaged_file_is_named(run: Folder) -> None:
    run.folder(AMENDMENTS).write("iteration-001.json", b"{}")
    with pytest.raises(InputError, match=r"people/amendments/iteration-001\.json: damaged; restore an intact copy"):
        AmendmentFiles(run).read(1)


def test_looks_are_counted_and_are_no_independent_labels(run: Folder) -> None:
    with project(run, checks=LOOKS) as birds:
        disagree(birds)
        before = labels_of_people(birds.memory.board.book), len(timed_answers(birds.memory.board.book))
        birds.submit("cid", "c1", [answer(9000, f"look_again.{SECOND}", 2)])
        birds.submit("dan", "d1", [answer(9001, f"look_again.{FIRST}", None)])
    book = fold(read_events(run))
    assert (labels_of_people(book), len(timed_answers(book))) == before
    found = [(one.sample, one.before.label, one.label, one.is_changed) for one in looks_of(book, [samples(5)])]
    assert found == [(SECOND, 0, 2, True), (FIRST, 0, 0, False)]
