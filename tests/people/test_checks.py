import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_project import TEST_ROWS, TRAIN_ROWS, Page, answer, clusters, event_id, halve, project, samples, undo

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.check_ids import check_of
from raycal.people.checks import REPEAT_AFTER, CheckRates
from raycal.people.cluster_labels import newest_cluster_labels, strata_of
from raycal.people.events import Answered, Purpose
from raycal.people.fold import fold
from raycal.people.log import NotStoredError, read_events
from raycal.people.memory import OPEN, TRAINING
from raycal.people.persons import summarize_people
from raycal.people.project import Project
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder

ALL = CheckRates(repeats=1, shared=1, audits=1, share=0.1)
CLASSES = ("wren", "robin", "tit", "crow", "jay")


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


@pytest.fixture
def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: event_id(next(numbers))


def singles(number: int) -> StepQuestions:
    """A step with this many questions about single samples."""
    first = tuple(Question(id=f"0.1.{one}", by_distance=np.array([2 * one])) for one in range(number))
    return StepQuestions(iteration=0, step=1, kind=Kind.SAMPLE, budget=number, first=first)


def answers(run: Folder) -> list[Answered]:
    return [event for event in read_events(run) if isinstance(event, Answered)]


def asked(run: Folder) -> list[str]:
    return [event.question for event in answers(run)]


def label_all(page: Page, most: int = 1000) -> int:
    """Answer until nothing is left to do."""
    for number in range(most):
        page.fill()
        if not page.held:
            return number
        page.answer()
    return most


def guessed(step: StepQuestions) -> StepQuestions:
    """The questions of a step, each with a guess."""
    return replace(step, first=tuple(replace(one, guess=number % 5) for number, one in enumerate(step.first)))


def test_repeats_come_to_the_same_person_after_fifty_questions(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(repeats=0.5, share=0.1)) as birds:
        birds.open_step(singles(80), 0, OPEN)
        label_all(Page(birds, "ana", "a1", ids))

    questions = asked(run)
    place = {question: number for number, question in enumerate(questions)}
    by_seq = {event.seq: event for event in answers(run)}
    repeats = [one for one in questions if one.startswith("repeat.")]
    assert len(repeats) > 3
    for one in repeats:
        original = by_seq[int(one.partition(".")[2])]
        assert original.label is not None
        assert place[one] - place[original.question] > REPEAT_AFTER
    assert [event.purpose for event in answers(run) if event.question in repeats] == [Purpose.REPEAT] * len(repeats)


def test_shared_questions_go_to_another_person(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(shared=0.3, share=0.1)) as birds:
        birds.open_step(singles(60), 0, OPEN)
        assert label_all(Page(birds, "ana", "a1", ids)) == 60
        label_all(Page(birds, "ben", "b1", ids))

    by_seq = {event.seq: event for event in answers(run)}
    shared = [event for event in answers(run) if event.purpose is Purpose.SHARED]
    assert 8 < len(shared) < 30
    assert all(event.who == "ben" and by_seq[int(event.question[7:])].who == "ana" for event in shared)
    assert len({event.question for event in shared}) == len(shared)


def test_audits_ask_about_images_with_the_label_of_a_cluster(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(audits=0.5)) as birds:
        birds.open_step(clusters(10), 0, OPEN, halve=halve)
        for number in range(10):
            label = None if number < 3 else 1
            kind = {"answer": "refused"} if label is None else {"marked": [int(TRAIN_ROWS[10 * number])]}
            birds.submit("ana", "a1", [answer(number, f"0.0.{number}", label, shown=10, **kind)])
        birds.open_step(None, 0, TRAINING)
        page = Page(birds, "ana", "a1", ids)
        page._ids = lambda: f"{ids()}0"
        label_all(page)

    audited = [event for event in answers(run) if event.purpose is Purpose.AUDIT]
    indices = [int(event.question.partition(".")[2]) for event in audited]
    assert len(set(indices)) == len(indices) == 5  # half of the ten other questions
    assert all(30 <= one < 100 and one % 10 for one in indices)  # of a labeled cluster, and not marked


def test_checks_look_like_the_questions_of_the_step(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=len(TEST_ROWS[:5]), checks=ALL) as birds:
        birds.open_step(guessed(singles(200)), 0, OPEN)
        pages = [Page(birds, who, f"{who}1", ids) for who in ("ana", "ben")]
        seen: dict[str, dict[str, Any]] = {}
        for number in range(300):
            page = pages[number % 2]
            page.fill()
            for question in page.held:
                seen[birds.memory.page_ids.in_log(question["id"])] = question
            if page.held:
                page.answer()

    forms = {"check": Counter[str](), "ordinary": Counter[str]()}
    for name, payload in seen.items():
        shape = {key: type(value).__name__ for key, value in payload.items()}
        shape["id"] = re.sub(r"x[0-9a-f]{16}", "x", payload["id"])
        shape |= {key: payload[key] for key in ("purpose", "kind", "size", "half_of")}
        forms["check" if check_of(name) else "ordinary"][str(sorted(shape.items()))] += 1
    assert sum(forms["check"].values()) > 10
    assert set(forms["check"]) <= set(forms["ordinary"])


def test_checks_look_like_the_holdout_while_a_model_trains(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=40, checks=CheckRates(shared=1, audits=1)) as birds:
        birds.open_step(clusters(10), 0, OPEN, halve=halve)
        for number in range(10):
            birds.submit("ana", "a1", [answer(5000 + number, f"0.0.{number}", 1, shown=10)])
        birds.open_step(None, 0, TRAINING)
        label_all(Page(birds, "ana", "a1", ids), most=30)
        birds.release("a1")
        ben = Page(birds, "ben", "b1", ids)
        seen: dict[str, dict[str, Any]] = {}
        while len(seen) < 60:
            ben.fill()
            seen |= {birds.memory.page_ids.in_log(one["id"]): one for one in ben.held}
            ben.answer()

    kinds = Counter(name.partition(".")[0] for name in seen)
    assert min(kinds["h"], kinds["audit"], kinds["shared"]) > 5
    for payload in seen.values():
        assert re.fullmatch(r"h\.x[0-9a-f]{16}", payload["id"])
        assert {key: payload[key] for key in payload if key not in ("id", "image")} == {
            "kind": "sample", "purpose": "holdout", "size": 1, "half_of": None, "guess": None,
        }  # fmt: skip


def test_person_with_nothing_else_to_do_gets_checks_until_another_page_gives_up_a_question(
    run: Folder, ids: Callable[[], str]
) -> None:
    with project(run, checks=CheckRates(shared=1)) as birds:
        birds.open_step(singles(8), 0, OPEN)
        ana, ben = Page(birds, "ana", "a1", ids), Page(birds, "ben", "b1", ids)
        for _ in range(5):
            ana.fill()
            ana.answer()
        ana.fill()
        assert [birds.memory.page_ids.in_log(one["id"]) for one in ana.held] == ["0.1.5", "0.1.6", "0.1.7"]
        ben.fill(1)
        assert [one["id"][:4] for one in ben.held] == ["0.1."]
        (check,) = (birds.memory.page_ids.in_log(one["id"]) for one in ben.held)
        assert check.startswith("shared.")

        ana.fill()  # and gives up its last question
        ana.fill()
        ben.fill(2)

        assert [birds.memory.page_ids.in_log(one["id"]) for one in ben.held] == [check, "0.1.7"]
        assert [birds.memory.page_ids.in_log(one["id"]) for one in ana.held] == ["0.1.5", "0.1.6"]


def test_checks_keep_their_share_while_there_are_other_questions(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=ALL) as birds:
        birds.open_step(singles(100), 0, OPEN)
        ana, ben = (Page(birds, who, f"{who}1", ids) for who in ("ana", "ben"))
        for _ in range(40):
            for page in (ana, ben):
                page.fill()
                page.answer()

    mine = [question for question in asked(run) if check_of(question)]
    assert 5 <= len(mine) <= 9


def test_without_checks_pages_get_the_ids_of_the_log(run: Folder, ids: Callable[[], str]) -> None:
    with project(run) as birds:
        birds.open_step(samples(3), 0, OPEN)
        page = Page(birds, "ana", "a1", ids)
        page.fill()
        assert [one["id"] for one in page.held] == ["0.1.0", "0.1.1", "0.1.2"]


def test_restart_asks_the_same_checks(run: Folder, ids: Callable[[], str]) -> None:
    def labeled(one: Project) -> Page:
        one.open_step(None, 0, TRAINING)
        page = Page(one, "ben", "b1", ids)
        page.fill()
        return page

    StepFiles(run.folder(STEPS)).write(singles(60))
    with project(run, checks=ALL, seed=3) as birds:
        birds.open_step(singles(60), 0, OPEN)
        label_all(Page(birds, "ana", "a1", ids), most=60)
        birds.release("a1")
        before = labeled(birds).held
    with project(run, checks=ALL, seed=3) as birds:
        page = labeled(birds)
        assert page.held == before
        kept = birds.heartbeat("ben", "b2", [one["id"] for one in before[:1]])
        assert kept == {"lost": [before[0]["id"]]}  # the page b1 has it on its screen
    with project(run, checks=ALL, seed=3) as birds:
        birds.open_step(None, 0, TRAINING)
        assert birds.heartbeat("ben", "b1", [one["id"] for one in before]) == {"lost": []}


def test_check_can_be_taken_back_and_is_shown_again(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(shared=1)) as birds:
        birds.open_step(samples(5), 0, OPEN)
        label_all(Page(birds, "ana", "a1", ids))
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        first = page.held[0]
        page.answer()
        (receipt,) = birds.submit("ben", "b1", [undo(9999)])
        assert receipt["text"].startswith("Taken back: 1 image")
        assert receipt["question"] == first


def test_answers_to_checks_change_no_ledger_and_no_holdout(tmp_path: Path) -> None:
    def rows_with(name: str, checks: CheckRates | None, people: Sequence[str]) -> tuple[Any, Any, Any]:
        numbers = count(1)
        folder, step = Folder.at(str(tmp_path / name)), singles(80)
        with project(folder, holdout=30, checks=checks) as birds:
            birds.open_step(step, 0, OPEN)
            for who in people:
                label_all(Page(birds, who, f"{who}1", lambda: event_id(next(numbers))))
            sizes = [one["count"] for one in birds.state("ana")["classes"]]
        book = fold(read_events(folder), CLASSES)
        rows = [
            (row.interaction, row.label, row.indices.tolist(), row.answer)
            for row in step.rows(book.replies(step), spent=0)
        ]
        return rows, book.holdout(), sizes

    with_checks = rows_with("with", ALL, ("ana", "ben"))
    assert len(with_checks[0]) == 80
    purposes = Counter(event.purpose for event in answers(Folder.at(str(tmp_path / "with"))))
    assert purposes[Purpose.REPEAT] > 10 < purposes[Purpose.SHARED]
    without = rows_with("without", None, ("ana",))
    # The simulated people answer by the id that they see, so only the labels can be compared.
    label_of = {tuple(row[2]): row[1] for row in without[0] if row[1] is not None}
    assert all(row[1] in (None, label_of.get(tuple(row[2]), row[1])) for row in with_checks[0])
    assert [row[2] for row in with_checks[0]] == [row[2] for row in without[0]]
    assert sum(with_checks[2]) == sum(row[1] is not None for row in with_checks[0]) + len(with_checks[1])


def test_time_of_checks_is_counted_by_purpose(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(shared=1)) as birds:
        birds.open_step(samples(5), 0, OPEN)
        for who in ("ana", "ben"):
            page = Page(birds, who, f"{who}1", ids)
            page.fill()
            for _ in range(5):
                if page.held:
                    page.answer(answer="label", label=1, timing={"visible_ms": 2000})
                    page.fill()

    book = fold(read_events(run), CLASSES)
    assert book.seconds == {(Purpose.ROUND, "ana"): 10.0, (Purpose.SHARED, "ben"): 10.0}
    ana, ben = summarize_people(book)
    assert (ana.single_images, ana.checks, ben.single_images, ben.checks) == (5, 0, 0, 5)


def test_project_opens_with_the_checks_of_an_earlier_start_turned_off(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(shared=1)) as birds:
        birds.open_step(samples(5), 0, OPEN)
        StepFiles(run.folder(STEPS)).write(samples(5))
        label_all(Page(birds, "ana", "a1", ids))
        label_all(Page(birds, "ben", "b1", ids))
    assert any(map(check_of, asked(run)))
    with project(run) as birds:
        assert birds.next("ben", "b1", [], 3)["questions"] == []


def test_newest_label_decides_whether_a_sample_has_the_label_of_a_cluster() -> None:
    step, later = clusters(3), samples(1, start=12)
    replies = [
        (step, [(one, Reply(label=number)) for number, one in enumerate(step.first)]),
        (later, [(later.first[0], Reply(label=4))]),
    ]
    found = newest_cluster_labels(replies, 40)

    assert found.index.tolist() == [one for one in range(30) if one != 12]
    assert found.label.tolist() == [one // 10 for one in range(30) if one != 12]
    assert set(found.size.tolist()) == {10}
    assert strata_of(np.array([1, 10, 11, 30, 100, 101, 300, 301, 5000])).tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4]
    assert later.kind is Kind.SAMPLE


def test_answer_to_a_check_that_is_not_stored_is_asked_again(
    run: Folder, ids: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Folder, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with project(run, checks=CheckRates(shared=1, share=0.1)) as birds:
        birds.open_step(singles(5), 0, OPEN)
        label_all(Page(birds, "ana", "a1", ids))
        ben = Page(birds, "ben", "b1", ids)
        ben.fill()
        (question, *_) = ben.held
        event = answer(7000, question["id"], 1)
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "write", full)
            with pytest.raises(NotStoredError):
                birds.submit("ben", "b1", [event])
        assert birds.heartbeat("ben", "b1", [question["id"]]) == {"lost": []}
        (first,), (again,) = (birds.submit("ben", "b1", [event]) for _ in range(2))
        assert (first["status"], again["status"]) == ("stored", "known")
        assert birds.heartbeat("ben", "b1", [question["id"]]) == {"lost": [question["id"]]}

    assert [one.question for one in answers(run)].count(birds.memory.page_ids.in_log(question["id"])) == 1
