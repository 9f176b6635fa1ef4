import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from raycal.distributed.mailbox import Event, Mailbox, TrialOrder
from raycal.distributed.retries import WORKER_RETRIES

T = TypeVar("T")
SECONDS = 5.0


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, SECONDS)


async def is_waiting(task: "asyncio.Task[Any]") -> bool:
    await asyncio.sleep(0.05)
    return not task.done()


def order(number: int) -> TrialOrder:
    return TrialOrder(experiment_id=f"experiment-{number}", settings={"seed": number}, number=number)


def event(number: int, kind: Any = "iteration", **content: Any) -> Event:
    return Event(number=number, kind=kind, content=content)


def test_worker_waits_for_an_order() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        waiting = asyncio.create_task(mailbox.next_order())
        assert await is_waiting(waiting)
        await mailbox.give(order(1))
        assert await soon(waiting) == order(1)

    asyncio.run(scene())


def test_order_stays_until_its_end_is_told() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        await mailbox.give(order(1))
        assert await soon(mailbox.next_order()) == order(1)
        assert await soon(mailbox.next_order()) == order(1), "a restarted worker goes on with it"
        await mailbox.tell(event(1, "ended"))
        assert await is_waiting(asyncio.create_task(mailbox.next_order()))

    asyncio.run(scene())


def test_a_worker_that_died_waiting_takes_no_order_with_it() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        dead = asyncio.create_task(mailbox.next_order())
        alive = asyncio.create_task(mailbox.next_order())
        assert await is_waiting(alive)
        await mailbox.give(order(1))
        assert [await soon(dead), await soon(alive)] == [order(1), order(1)]

    asyncio.run(scene())


def test_order_that_kills_every_worker_is_given_up() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        await mailbox.give(order(1))
        for _ in range(1 + WORKER_RETRIES):
            assert await soon(mailbox.next_order()) == order(1)
        waiting = asyncio.create_task(mailbox.next_order())
        assert await soon(mailbox.next_event()) == event(1, "ended", error="its worker died 4 times")
        await mailbox.give(order(2))
        assert await soon(waiting) == order(2), "the group goes on with another"

    asyncio.run(scene())


def test_why_the_workers_died_is_said_of_the_order_it_is_true_of() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        for number, said in ((1, "; the last time: no memory"), (2, "")):
            await mailbox.give(order(number))
            for _ in range(1 + WORKER_RETRIES):
                assert await soon(mailbox.next_order()) == order(number)
                await mailbox.note(1, "no memory")
            waiting = asyncio.create_task(mailbox.next_order())
            error = f"its worker died 4 times{said}"
            assert await soon(mailbox.next_event()) == event(number, "ended", error=error)
            waiting.cancel()

    asyncio.run(scene())


def test_events_come_in_their_order_and_those_of_a_replaced_order_not_at_all() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        await mailbox.give(order(1))
        await mailbox.tell(event(1, iteration=0))
        await mailbox.tell(event(1, iteration=1))
        assert [(await soon(mailbox.next_event())).content["iteration"] for _ in range(2)] == [0, 1]
        await mailbox.give(order(2))
        await mailbox.tell(event(1, "ended"))
        await mailbox.tell(event(2, "started"))
        assert await soon(mailbox.next_event()) == event(2, "started")
        assert await soon(mailbox.next_order()) == order(2)

    asyncio.run(scene())


def test_worker_waits_for_leave_to_go_on() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        await mailbox.give(order(1))
        waiting = asyncio.create_task(mailbox.may_go_on(1, 2))
        await mailbox.allow(1)
        assert await is_waiting(waiting)
        await mailbox.allow(2)
        assert await soon(waiting) is True
        assert await soon(mailbox.may_go_on(1, 1)) is True, "leave is not taken back"

    asyncio.run(scene())


@pytest.mark.parametrize("end", ["replaced", "closed"])
def test_worker_is_told_to_stop(end: str) -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        await mailbox.give(order(1))
        waiting = asyncio.create_task(mailbox.may_go_on(1, 1))
        assert await is_waiting(waiting)
        await (mailbox.give(order(2)) if end == "replaced" else mailbox.close())
        assert await soon(waiting) is False

    asyncio.run(scene())


def test_closed_mailbox_ends_the_worker() -> None:
    async def scene() -> None:
        mailbox = Mailbox()
        waiting = asyncio.create_task(mailbox.next_order())
        assert await is_waiting(waiting)
        await mailbox.close()
        assert await soon(waiting) is None

    asyncio.run(scene())
