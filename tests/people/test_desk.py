"""Tests the leases of questions, with a clock that the test moves."""

import random
from collections.abc import Iterable, Sequence

import pytest
from set_clock import Clock

from raycal.people.desk import GONE_SECONDS, RESERVED_SECONDS, Desk


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Desk:
    return Desk(clock)


QUESTIONS = [f"0.0.{number}" for number in range(8)]


def see(desk: Desk, client: str, holding: Sequence[str] = (), waiting: Iterable[str] = QUESTIONS) -> list[str]:
    """Tell the desk that a page is open and which questions it holds. `client` is the id of the page, and its first
    letter is the name of the person."""
    return desk.see(client, client[0], holding, set(waiting).__contains__)


def ask(desk: Desk, client: str, want: int, holding: Sequence[str] = (), **options: int) -> list[str]:
    see(desk, client, holding)
    return desk.take(client, QUESTIONS, want, holding=holding, **options)


def firm(desk: Desk) -> dict[str, str]:
    return {question: lease.client for question, lease in desk.held().items() if lease.is_firm}


def test_questions_are_given_in_their_order_and_to_one_page_each(desk: Desk) -> None:
    assert ask(desk, "a1", 3) == QUESTIONS[:3]
    assert ask(desk, "b1", 2) == QUESTIONS[3:5]
    assert ask(desk, "a2", 9) == QUESTIONS[5:]
    assert ask(desk, "c1", 1) == []
    assert firm(desk) == {QUESTIONS[0]: "a1", QUESTIONS[3]: "b1", QUESTIONS[5]: "a2"}
    assert desk.people == {"a", "b", "c"}


def test_page_that_lost_the_reply_gets_the_same_questions_again(desk: Desk) -> None:
    assert ask(desk, "a1", 2) == QUESTIONS[:2]
    assert ask(desk, "b1", 1) == QUESTIONS[2:3]
    assert ask(desk, "a1", 3) == [QUESTIONS[0], QUESTIONS[1], QUESTIONS[3]]
    assert firm(desk) == {QUESTIONS[0]: "a1", QUESTIONS[2]: "b1"}


def test_room_limits_what_is_held_by_all(desk: Desk) -> None:
    assert ask(desk, "a1", 5, room=2) == QUESTIONS[:2]
    assert ask(desk, "b1", 5, room=0) == []
    assert ask(desk, "a1", 5, room=0) == QUESTIONS[:2]


def test_silent_page_is_gone_after_45_seconds(desk: Desk, clock: Clock) -> None:
    assert ask(desk, "a1", 8) == QUESTIONS
    for _ in range(6):
        clock.now += 15
        assert see(desk, "a1", QUESTIONS) == []
    clock.now += GONE_SECONDS - 0.001
    assert ask(desk, "b1", 1) == []
    clock.now += 0.002
    assert ask(desk, "b1", 1) == QUESTIONS[:1]
    assert desk.people == {"b"}
    # The page comes back, for instance because the computer slept.
    assert see(desk, "a1", QUESTIONS[:2]) == QUESTIONS[:1]
    assert ask(desk, "b1", 9, [QUESTIONS[0]]) == QUESTIONS[2:]


def take_over(desk: Desk, client: str, holder: str, holding: list[str], waiting: list[str]) -> str | None:
    """What a page with nothing to do gets, once another page has dropped what the server asks it to drop."""
    see(desk, client)
    assert desk.take_over(client, waiting) is None
    lost = see(desk, holder, holding)
    holding[:] = [one for one in holding if one not in lost]
    desk.release(holder, lost)
    return desk.take_over(client, waiting)


def test_page_gives_up_its_questions_in_memory_but_for_the_next_one(desk: Desk) -> None:
    holding = ask(desk, "a1", 4)
    assert take_over(desk, "b1", "a1", holding, QUESTIONS[:4]) == QUESTIONS[3]
    assert take_over(desk, "c1", "a1", holding, QUESTIONS[:4]) == QUESTIONS[2]
    assert take_over(desk, "d1", "a1", holding, QUESTIONS[:4]) is None
    assert firm(desk) == {QUESTIONS[0]: "a1", QUESTIONS[2]: "c1", QUESTIONS[3]: "b1"}
    assert holding == QUESTIONS[:2]


def test_page_keeps_a_question_until_it_says_that_it_has_dropped_it(desk: Desk) -> None:
    """The answer with which the server asks for the question may be late, or get lost on its way to the page."""
    ask(desk, "a1", 3)
    see(desk, "b1")
    for _ in range(3):
        assert desk.take_over("b1", QUESTIONS[:3]) is None
        assert see(desk, "a1", QUESTIONS[:3]) == [QUESTIONS[2]]
        assert ask(desk, "a1", 1, QUESTIONS[:3], room=0) == []

    # Two fast answers, of which the server has not heard yet, have brought the question to the screen of page a1.
    assert see(desk, "a1", [QUESTIONS[2], *QUESTIONS[:2]]) == []
    assert desk.take_over("b1", QUESTIONS[:3]) is None
    assert desk.lease(QUESTIONS[2]).client == "a1"  # type: ignore[union-attr]


def test_question_that_was_dropped_is_kept_for_the_page_that_waits(desk: Desk) -> None:
    ask(desk, "a1", 3)
    see(desk, "b1")
    desk.take_over("b1", QUESTIONS[:3])

    # Page a1 does not name the question any more, so it has dropped it.
    assert ask(desk, "a1", 3, QUESTIONS[:2], room=0) == []
    assert ask(desk, "c1", 3, room=0) == []
    assert desk.take_over("b1", QUESTIONS[:3]) == QUESTIONS[2]
    assert firm(desk) == {QUESTIONS[0]: "a1", QUESTIONS[2]: "b1"}


def test_question_that_was_dropped_is_free_if_nobody_waits_for_it_any_more(desk: Desk) -> None:
    ask(desk, "a1", 3)
    see(desk, "b1")
    desk.take_over("b1", QUESTIONS[:3])
    desk.leave("b1")
    assert see(desk, "a1", QUESTIONS[:3]) == []  # Nobody waits, so the page keeps it.

    see(desk, "b1")
    desk.take_over("b1", QUESTIONS[:3])
    assert see(desk, "a1", QUESTIONS[:3]) == [QUESTIONS[2]]
    desk.release("a1", [QUESTIONS[2]])
    desk.leave("b1")
    assert set(desk.held()) == set(QUESTIONS[:2])


def test_question_that_a_page_shows_after_a_fast_answer_is_on_no_other_screen(desk: Desk) -> None:
    """After a fast answer, a page shows its next question before the server knows of the answer."""
    ask(desk, "a1", 3)
    see(desk, "b1")
    desk.take_over("b1", QUESTIONS[:3])
    desk.finish(QUESTIONS[0])
    desk.finish(QUESTIONS[1])

    assert see(desk, "a1", [QUESTIONS[2]]) == []
    assert desk.take_over("b1", [QUESTIONS[2]]) is None


def test_next_question_is_the_one_that_the_page_names_second(desk: Desk) -> None:
    """A page gets the halves of a cluster last, and shows them first."""
    ask(desk, "a1", 3)
    holding = [QUESTIONS[0], QUESTIONS[2], QUESTIONS[1]]
    see(desk, "a1", holding)

    assert take_over(desk, "b1", "a1", holding, QUESTIONS[:3]) == QUESTIONS[1]


def test_page_with_the_most_questions_loses_one(desk: Desk) -> None:
    holding = ask(desk, "a1", 5)
    ask(desk, "b1", 3)

    assert take_over(desk, "c1", "a1", holding, QUESTIONS) == QUESTIONS[4]


def test_page_takes_nothing_over_from_itself(desk: Desk) -> None:
    ask(desk, "a1", 3)

    assert desk.take_over("a1", QUESTIONS[:3]) is None
    assert see(desk, "a1", QUESTIONS[:3]) == []


def test_page_that_waits_prefers_a_free_question_that_there_was_no_room_for(desk: Desk) -> None:
    """A half of a cluster is given first, although the pages hold as many questions as the budget allows."""
    holding = ask(desk, "a1", 3)
    assert take_over(desk, "b1", "a1", holding, ["half", *QUESTIONS[:3]]) == "half"
    assert set(desk.held()) == {"half", *QUESTIONS[:2]}


def test_next_question_in_memory_becomes_firm_when_the_one_on_screen_is_answered(desk: Desk) -> None:
    ask(desk, "a1", 4)
    desk.finish(QUESTIONS[0])

    assert firm(desk) == {QUESTIONS[1]: "a1"}
    assert take_over(desk, "b1", "a1", QUESTIONS[1:4], QUESTIONS[1:4]) == QUESTIONS[3]


def test_question_on_screen_is_taken_back_from_a_page_that_has_it_in_memory(desk: Desk) -> None:
    holding = ask(desk, "a1", 3)
    assert take_over(desk, "b1", "a1", holding, QUESTIONS[:3]) == QUESTIONS[2]
    assert see(desk, "b1", [QUESTIONS[5], QUESTIONS[2]]) == []  # Page b1 shows another question first.
    assert see(desk, "a1", [QUESTIONS[2]]) == []
    assert see(desk, "b1", [QUESTIONS[5], QUESTIONS[2]]) == [QUESTIONS[2]]


def test_restarted_server_gives_pages_what_they_hold(desk: Desk) -> None:
    assert see(desk, "a1", QUESTIONS[2:4]) == []
    # Page a1 holds this question, so page b1 must give it up.
    assert see(desk, "b1", [QUESTIONS[4], QUESTIONS[3]]) == [QUESTIONS[3]]
    # Page a1 has this question in memory only, and page b1 shows it.
    assert see(desk, "b1", [QUESTIONS[3], QUESTIONS[4]]) == []
    assert ask(desk, "c1", 2) == QUESTIONS[:2]


def test_answered_and_unknown_questions_are_dropped(desk: Desk) -> None:
    ask(desk, "a1", 3)

    assert see(desk, "a1", [*QUESTIONS[:3], "made up"], waiting=QUESTIONS[1:]) == [QUESTIONS[0], "made up"]
    assert set(desk.held()) == set(QUESTIONS[1:3])


def test_reserved_question_goes_first_to_its_person(desk: Desk) -> None:
    see(desk, "a1")
    desk.reserve(QUESTIONS[5], "a")
    assert ask(desk, "b1", 6) == [*QUESTIONS[:5], QUESTIONS[6]]
    assert ask(desk, "a1", 1) == [QUESTIONS[5]]


def test_question_is_reserved_for_a_minute(desk: Desk, clock: Clock) -> None:
    see(desk, "a1")
    desk.reserve("half", "a")

    def ask_again() -> list[str]:
        see(desk, "a1")
        see(desk, "c1")
        return desk.take("c1", ["half"], 1)

    for _ in range(2):
        clock.now += RESERVED_SECONDS / 2 - 0.001
        assert ask_again() == []
    clock.now += 0.003
    assert ask_again() == ["half"]


def test_question_is_not_reserved_for_a_person_who_is_gone(desk: Desk) -> None:
    see(desk, "a1")
    desk.reserve(QUESTIONS[0], "a")
    desk.leave("a1")

    assert ask(desk, "b1", 1) == QUESTIONS[:1]


def test_closed_page_frees_its_questions_at_once(desk: Desk) -> None:
    ask(desk, "a1", 2)
    ask(desk, "b1", 1)
    # Page b1 holds the second of these questions, so only the third is released.
    desk.release("a1", [QUESTIONS[1], QUESTIONS[2]])
    assert set(desk.held()) == {QUESTIONS[0], QUESTIONS[2]}
    desk.leave("a1")
    assert set(desk.held()) == {QUESTIONS[2]}
    desk.leave("a1")


def test_undone_question_is_on_screen_and_the_others_wait(desk: Desk) -> None:
    ask(desk, "a1", 2)
    desk.put_on_screen("a1", "a", "undone")

    assert firm(desk) == {"undone": "a1"}
    assert set(desk.held()) == {"undone", *QUESTIONS[:2]}


def test_no_question_is_on_two_screens(desk: Desk, clock: Clock) -> None:
    """Twelve pages look, answer, sleep, come back and leave in random order, and each one trusts only the server."""
    rng = random.Random(7)
    waiting = [f"0.0.{number}" for number in range(400)]
    pages: dict[str, list[str]] = {f"{person}{page}": [] for person in "abcdef" for page in (1, 2)}
    asleep: dict[str, float] = {}
    answered: list[str] = []
    while waiting:
        clock.now += rng.uniform(0, 3)
        name = rng.choice(list(pages))
        if name in asleep and asleep[name] > clock.now:
            continue
        asleep.pop(name, None)
        holding = pages[name]
        lost = desk.see(name, name[0], holding, set(waiting).__contains__)
        holding[:] = [one for one in holding if one not in lost]
        desk.release(name, lost)
        match rng.choice(["answer", "answer", "answer", "look", "sleep", "leave"]):
            case "answer" if holding:
                answered.append(holding.pop(0))
                waiting.remove(answered[-1])
                desk.finish(answered[-1])
            case "sleep":
                asleep[name] = clock.now + rng.choice([10, 60])
                continue
            case "leave" if rng.random() < 0.3:
                desk.leave(name)
                holding.clear()
                continue
        holding += desk.take(name, waiting, 3 - len(holding), holding=holding)
        if not holding and (given_up := desk.take_over(name, waiting)) is not None:
            holding.append(given_up)
        # Once the page knows the reply of the server, it says what it shows.
        desk.see(name, name[0], holding, set(waiting).__contains__)
        screens = [
            held[0]
            for page, held in pages.items()
            if held and page not in asleep and (lease := desk.lease(held[0])) is not None and lease.client == page
        ]
        assert len(screens) == len(set(screens))
        assert name in asleep or not holding or desk.lease(holding[0]).client == name  # type: ignore[union-attr]
    assert len(answered) == len(set(answered)) == 400
