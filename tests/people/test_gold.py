import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from small_project import TEST_ROWS, TRAIN_ROWS, TRUTH, Page, answer, event_id, project, samples, undo

from raycal.algorithm.questions import StepQuestions
from raycal.annotate.tokens import OWNER as OWNER_ROLE
from raycal.people.check_ids import check_of
from raycal.people.checks import CheckRates
from raycal.people.events import Answered, Purpose
from raycal.people.fold import fold
from raycal.people.gold import FEWEST, OWNER
from raycal.people.gold_notes import result_of
from raycal.people.gold_results import FirstAnswers
from raycal.people.log import read_events
from raycal.people.memory import OPEN, TRAINING
from raycal.people.persons import summarize_people
from raycal.people.project import Project
from raycal.people.quality import quality_of
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder

GOLD = CheckRates(gold=10)
CLASSES = ("wren", "robin", "tit", "crow", "jay")


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


@pytest.fixture
def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: event_id(next(numbers))


def truth(question: Mapping[str, Any]) -> int:
    return int(TRUTH[question["image"]])


def label_holdout(birds: Project, who: str, numbers: range, ids: Callable[[], str]) -> None:
    """Label images of the hold-out as they are, also as a second opinion."""
    for number in numbers:
        label = int(TRUTH[TEST_ROWS[number]])
        birds.submit(who, f"{who}1", [{**answer(0, f"h.{number}", label), "id": ids()}])


def label_alone(birds: Project, who: str, step: StepQuestions, ids: Callable[[], str]) -> None:
    for one in step.first:
        label = int(TRUTH[TRAIN_ROWS[one.by_distance[0]]])
        birds.submit(who, f"{who}1", [{**answer(0, one.id, label), "id": ids()}])


def answer_gold(page: Page, numbers_wrong: set[int], most: int = 100) -> list[dict[str, Any]]:
    """Answer gold questions until there are none; some of them wrong. Return the receipts."""
    receipts: list[dict[str, Any]] = []
    while len(receipts) < most:
        page.fill()
        if not page.held or not is_gold(page, page.held[0]):
            break
        label = (truth(page.held[0]) + (len(receipts) in numbers_wrong)) % 5
        receipts.append(page.answer(answer="label", label=label, timing={"visible_ms": 2000}))
    return receipts


def is_gold(page: Page, question: Mapping[str, Any]) -> bool:
    return page.project.memory.page_ids.in_log(question["id"]).startswith("gold.")


def asked(run: Folder, who: str) -> list[Answered]:
    return [event for event in read_events(run) if isinstance(event, Answered) and event.who == who]


def test_newcomer_with_four_wrong_is_told_and_the_owner_sees_it(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        birds.open_step(samples(10), 0, OPEN)
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(20), ids)
        receipts = answer_gold(ben := Page(birds, "ben", "b1", ids), {1, 4, 5, 8})
        ben.fill()
        assert [birds.memory.page_ids.in_log(one["id"])[:4] for one in ben.held] == ["0.1."] * 3

    assert len(receipts) == 10
    for number, receipt in enumerate(receipts):
        event = asked(run, "ben")[number]
        assert event.known is not None
        assert event.label is not None
        said, known = CLASSES[event.label], CLASSES[event.known.label]
        is_wrong = number in {1, 4, 5, 8}
        assert (
            receipt["text"]
            == receipt["gold"]["text"]
            == (
                f"You said {said}; two people before you said {known}."
                if is_wrong
                else f"You said {known}; two people before you said the same."
            )
        )
        assert receipt["gold"]["class"] == (known if is_wrong else None)
        assert (event.known.people, event.known.left) == (2, 9 - number)
    assert [bool(one["gold"]["result"]) for one in receipts] == [False] * 9 + [True]
    assert receipts[-1]["gold"]["result"].startswith("6 of 10 agree with the known labels. That is not unusual")
    assert "The owner of the project sees this result, too." in receipts[-1]["gold"]["result"]
    ana, ben_summary, owner = summarize_people(fold(read_events(run), CLASSES))
    assert (ben_summary.first_answers, ben_summary.first_answers_right, ben_summary.checks) == (10, 6, 0)
    # The Wilson interval of 6 of 10.
    assert (ben_summary.first_answers_low, ben_summary.first_answers_high) == pytest.approx((0.3127, 0.8318), abs=1e-4)
    assert (ana.first_answers, owner.first_answers, owner.first_answers_low) == (0, 0, None)


def test_result_of_a_newcomer_with_few_other_answers() -> None:
    assert result_of(FirstAnswers(asked=10, agreeing=9)) == (
        "9 of 10 agree with the known labels. The other questions follow."
    )
    assert result_of(FirstAnswers(asked=10, agreeing=7)).endswith("labels. The other questions follow.")
    assert "Press H" in result_of(FirstAnswers(asked=10, agreeing=6))
    assert "Press H" in result_of(FirstAnswers(asked=5, agreeing=3))
    assert FirstAnswers().interval is None


def test_owner_and_first_person_are_never_asked(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        label_holdout(birds, "ana", range(20), ids)  # is the first person
        for who in ("ana", OWNER):
            page = Page(birds, who, f"{who}1", ids)
            page.fill()
            assert [birds.memory.page_ids.in_log(one["id"])[:2] for one in page.held] == ["h."] * 3
        page = Page(birds, "ben", "b1", ids)
        page.fill()
        assert all(is_gold(page, one) for one in page.held)  # which the first person labeled alone
        birds.submit("cleo", "c1", [{**answer(0, "h.25", 0), "id": ids()}])
        page = Page(birds, "cleo", "c1", ids)
        page.fill()
        assert not any(is_gold(page, one) for one in page.held)  # Cleo has answered something else.
    assert OWNER == OWNER_ROLE


def test_nobody_is_asked_if_too_little_is_known(run: Folder, ids: Callable[[], str]) -> None:
    def first_purposes(birds: Project, who: str) -> set[bool]:
        page = Page(birds, who, f"{who}1", ids)
        page.fill()
        found = {is_gold(page, one) for one in page.held}
        birds.release(f"{who}1")
        return found

    with project(run, holdout=40, checks=GOLD) as birds:
        assert first_purposes(birds, "ana") == {False}
        StepFiles(run.folder(STEPS)).write(step := samples(20))
        birds.open_step(step, 0, OPEN)
        label_alone(birds, "owner", step, ids)  # One person alone is not enough outside of the hold-out.
        label_holdout(birds, "owner", range(FEWEST - 1), ids)
        label_holdout(birds, "cleo", range(10, 20), ids)  # Cleo is not the owner.
        assert first_purposes(birds, "ben") == {False}
        label_holdout(birds, "owner", range(FEWEST - 1, FEWEST), ids)
        assert first_purposes(birds, "ben") == {True}
        (refused,) = birds.submit("owner", "o1", [undo(9000)])  # takes back the last of these labels
        assert refused["status"] == "stored"
        assert first_purposes(birds, "ben") == {False}
    with project(run, holdout=40, checks=CheckRates(gold=0, shared=0.5)) as birds:
        label_holdout(birds, "owner", range(20, 30), ids)
        assert first_purposes(birds, "ben") == {False}


def test_labels_on_which_people_differ_are_not_known(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(8), ids)
        wrong = (int(TRUTH[TEST_ROWS[3]]) + 1) % 5
        birds.submit("cleo", "c1", [{**answer(0, "h.3", wrong), "id": ids()}])
        birds.submit("cleo", "c1", [{**answer(0, "h.4", None), "id": ids()}])  # says nothing
        assert len(answer_gold(Page(birds, "ben", "b1", ids), set())) == 7

    rows = {event.question for event in asked(run, "ben")}
    by_seq = {event.seq: event.question for event in read_events(run) if isinstance(event, Answered)}
    questions = {by_seq[int(one.removeprefix("gold.")) // 10**8] for one in rows}
    assert questions == {f"h.{number}" for number in range(8) if number != 3}


def test_each_class_appears_and_agreement_of_two_people_comes_first(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=60, checks=GOLD) as birds:
        label_holdout(birds, "owner", range(60), ids)
        label_holdout(birds, "ana", range(12), ids)
        answer_gold(Page(birds, "ben", "b1", ids), set())
        answer_gold(Page(birds, "dan", "d1", ids), set())

    for who in ("ben", "dan"):
        events = asked(run, who)[:10]
        labels = Counter(event.label for event in events)
        assert labels == dict.fromkeys(range(5), 2)
        assert len({event.label for event in events[:5]}) == 5
        # Of the first twelve images, two or three have each class.
        assert {event.known.people for event in events if event.known} == {2}
    assert [one.label for one in asked(run, "ben")] != [one.label for one in asked(run, "dan")]


def test_shared_checks_and_second_opinions_make_labels_of_the_pool_known(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, checks=CheckRates(gold=10, shared=1)) as birds:
        birds.open_step(step := samples(10), 0, OPEN)
        label_alone(birds, "owner", step, ids)
        ana = Page(birds, "ana", "a1", ids)
        for _ in range(6):
            ana.fill()
            assert ana.answer(answer="label", label=truth(ana.held[0]))["status"] == "stored"
        birds.release("a1")
        assert Counter(event.purpose for event in asked(run, "ana")) == {Purpose.SHARED: 6}
        ben = Page(birds, "ben", "b1", ids)
        assert len(answer_gold(ben, set())) == 6
        # A sample whose label Ben was told is no shared question for him, because he would not answer by himself.
        shared = [birds.memory.page_ids.in_log(one["id"]) for one in ben.held]
        while ben.held:
            ben.answer(answer="label", label=truth(ben.held[0]))
            ben.fill()
            shared += [birds.memory.page_ids.in_log(one["id"]) for one in ben.held]
    told = {int(event.question.removeprefix("gold.")) // 10**8 for event in asked(run, "ben") if event.known}
    assert len(set(shared)) == 4
    assert told.isdisjoint(int(one.removeprefix("shared.")) for one in shared)


def test_second_look_at_another_sample_changes_no_known_label(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(6), ids)
        third = asked(run, "owner")[2]
        birds.open_step(step := samples(1, start=third.seq), 0, OPEN)  # The sample has the number of that answer.
        label_alone(birds, "owner", step, ids)
        assert third.label is not None
        look = {**answer(0, f"look_again.{third.seq}", (third.label + 1) % 5), "id": ids()}
        assert birds.submit("dan", "d1", [look])[0]["status"] == "stored"

        receipts = answer_gold(Page(birds, "ben", "b1", ids), set())

    assert [receipt["gold"]["class"] for receipt in receipts] == [None] * 6


def test_questions_that_a_closed_page_still_holds_come_later(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        birds.open_step(samples(10), 0, OPEN)
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(20), ids)
        closed = Page(birds, "ben", "b1", ids)
        assert len(answer_gold(closed, set(), most=8)) == 8
        closed.fill()
        assert [is_gold(closed, one) for one in closed.held[:2]] == [True, True]
        ben = Page(birds, "ben", "b2", ids)
        ben.fill()
        assert not any(is_gold(ben, one) for one in ben.held)
        for _ in range(3):
            ben.answer(answer="label", label=truth(ben.held[0]))
        birds.release("b1")
        ben.fill()
        while not is_gold(ben, ben.held[0]):
            ben.answer(answer="label", label=truth(ben.held[0]))
            ben.fill()
        receipts = answer_gold(ben, set())

    assert len(receipts) == 2
    assert receipts[-1]["gold"]["result"] == "10 of 10 agree with the known labels. The other questions follow."


def test_restart_in_the_middle_goes_on(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD, seed=3) as birds:
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(20), ids)
        ben = Page(birds, "ben", "b1", ids)
        answer_gold(ben, {0}, most=4)
        ben.fill()
        held = ben.held
    with project(run, holdout=30, checks=GOLD, seed=3) as birds:
        assert birds.heartbeat("ben", "b1", [one["id"] for one in held]) == {"lost": []}
        label_holdout(birds, "ana", range(20, 25), ids)  # is no reason to ask more
        ben = Page(birds, "ben", "b1", ids)
        ben.held = held
        receipts = answer_gold(ben, {0})
        assert len(receipts) == 6
        assert receipts[-1]["gold"]["result"] == "8 of 10 agree with the known labels. The other questions follow."
        (event,) = [event for event in asked(run, "ben") if event.known and event.known.left == 0]
        again = {**answer(0, event.question, event.label), "id": event.id}
        assert birds.submit("ben", "b1", [again])[0]["gold"] == receipts[-1]["gold"]
    with project(run, holdout=30, checks=GOLD, seed=3) as birds:
        ben = Page(birds, "ben", "b1", ids)
        ben.fill()
        assert not any(is_gold(ben, one) for one in ben.held)
    with project(run, holdout=30) as birds:  # with all checks turned off
        assert birds.state("ben")["can_undo"] is False


def test_restart_asks_a_newcomer_the_same(tmp_path: Path, ids: Callable[[], str]) -> None:
    def first(folder: Folder, *, restart: bool) -> list[str]:
        def opened() -> Project:
            return project(folder, holdout=30, checks=GOLD, seed=5)

        with opened() as birds:
            for who in ("owner", "ana"):
                label_holdout(birds, who, range(20), ids)
            answer_gold(Page(birds, "ben", "b1", ids), set(), most=3 if restart else 100)
        with opened() as birds:
            answer_gold(Page(birds, "ben", "b2", ids), set())
        return [event.question for event in asked(folder, "ben")][:10]

    plain, restarted = (Folder.at(str(tmp_path / name)) for name in ("plain", "restarted"))
    assert first(plain, restart=False) == first(restarted, restart=True)


def test_two_newcomers_at_once_get_all_questions(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(7), ids)
        pages = [Page(birds, who, f"{who}1", ids) for who in ("ben", "cleo")]
        for _ in range(7):
            for page in pages:
                page.fill()
                assert is_gold(page, page.held[0])
                page.answer(answer="label", label=truth(page.held[0]))
        for page in pages:
            page.fill()
            assert not any(is_gold(page, one) for one in page.held)

    for who in ("ben", "cleo"):
        events = asked(run, who)
        assert len(events) == 7
        assert {event.purpose for event in events} == {Purpose.GOLD}
        assert [event.known.left for event in events if event.known] == [6, 5, 4, 3, 2, 1, 0]


def test_second_tab_of_a_newcomer_gets_other_questions(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        label_holdout(birds, "owner", range(5), ids)
        tabs = [Page(birds, "ben", client, ids) for client in ("b1", "b2")]
        for tab in tabs:
            tab.fill()
        gold = [one["id"] for tab in tabs for one in tab.held if is_gold(tab, one)]
        assert len(gold) == len(set(gold)) == 5


def test_answer_cannot_be_taken_back_or_given_again(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        label_holdout(birds, "owner", range(20), ids)
        ben, cleo = Page(birds, "ben", "b1", ids), Page(birds, "cleo", "c1", ids)
        answer_gold(ben, {0}, most=1)
        assert birds.state("ben")["can_undo"] is False
        (receipt,) = birds.submit("ben", "b1", [undo(9000)])
        assert (receipt["status"], receipt["text"]) == (
            "refused", "You were told whether others agree with your last answer, so it cannot be taken back any more."
        )  # fmt: skip
        (event,) = asked(run, "ben")
        assert event.label != event.known[0]  # type: ignore[index]
        (receipt,) = birds.submit("ben", "b1", [answer(9001, event.question, event.known[0])])  # type: ignore[index]
        assert receipt["text"].startswith("You have answered this question already")
        cleo.fill()
        (receipt,) = birds.submit(
            "ben", "b1", [answer(9002, cleo.held[0]["id"], new_class="owl", label=None, answer="label")]
        )
        assert receipt["text"] == "This question does not exist any more; reload the page."
        assert len(birds.state("ben")["classes"]) == 5
        (receipt,) = birds.submit("ben", "b1", [answer(9003, ben.held[0]["id"], None)])
        assert receipt["text"].startswith("You left it open; one person before you said ")
    assert [one.first_answers_right for one in summarize_people(fold(read_events(run), CLASSES))] == [0, 0]


def test_page_cannot_tell_gold_questions_from_others(run: Folder, ids: Callable[[], str]) -> None:
    def shapes(page: Page, want: bool) -> set[str]:
        page.fill()
        found = set()
        for one in page.held:
            assert is_gold(page, one) is want
            shape = one | {"id": re.sub(r"x[0-9a-f]{16}", "x", one["id"]), "image": 0}
            found.add(str(sorted(shape.items())))
        return found

    rates = CheckRates(gold=10, shared=0.1)
    with project(run, holdout=60, checks=rates) as birds:
        birds.open_step(samples(10), 0, OPEN)
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(20), ids)
        in_step = shapes(Page(birds, "ben", "b1", ids), True)
        assert in_step == shapes(Page(birds, "ana", "a1", ids), False)
        birds.open_step(None, 0, TRAINING)
        in_holdout = shapes(Page(birds, "cleo", "c1", ids), True)
        assert in_holdout == shapes(Page(birds, "ana", "a1", ids), False)
        assert in_step != in_holdout


def test_answers_count_in_nothing_but_the_time_of_their_purpose(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        birds.open_step(step := samples(10), 0, OPEN)
        StepFiles(run.folder(STEPS)).write(step)
        label_alone(birds, "owner", step, ids)
        for who in ("owner", "ana"):
            label_holdout(birds, who, range(20), ids)
        before = fold(read_events(run), CLASSES)
        sizes = birds.state("owner")["classes"]
        answer_gold(Page(birds, "ben", "b1", ids), {2, 3})
        assert birds.state("owner")["classes"] == sizes
    after = fold(read_events(run), CLASSES)

    assert after.seconds == {**before.seconds, (Purpose.GOLD, "ben"): 20.0}
    assert after.holdout() == before.holdout()
    assert repr(after.replies(step)) == repr(before.replies(step))
    assert after.second_opinions == before.second_opinions
    assert quality_of(after, [step]) == quality_of(before, [step])
    assert all(check_of(event.question) for event in asked(run, "ben"))


def test_log_opens_after_a_known_label_was_taken_back(run: Folder, ids: Callable[[], str]) -> None:
    with project(run, holdout=30, checks=GOLD) as birds:
        label_holdout(birds, "owner", range(6), ids)
        ben = Page(birds, "ben", "b1", ids)
        ben.fill()
        for number in range(6):
            birds.submit("owner", "o1", [undo(8000 + number)])
        receipt = ben.answer(answer="label", label=0)  # The label was known when the question was asked.
        assert (receipt["status"], receipt["gold"]) == ("stored", None)
    with project(run, holdout=30, checks=GOLD) as birds:
        assert birds.state("ben")["labeled"] == 0
    assert summarize_people(fold(read_events(run), CLASSES))[0].first_answers == 0
