"""Between a trial and its worker group: one experiment at a time goes in, what happens to it comes out."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# A worker that dies is started again and given its experiment again, so often.
WORKER_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An experiment to run.

    Attributes:
        settings: Of the experiment, as `ExperimentConfig` takes them.
        number: Counts the orders of a mailbox, so that two of the same experiment differ.
    """

    experiment_id: str
    settings: dict[str, Any]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to an order.

    Attributes:
        kind: `started`: the data and the model are loaded; `iteration`: one was saved; `ended`: nothing more will come.
        content: The results line of an iteration; the `time` of a start; the `error`, if any, of an end.
    """

    number: int
    kind: Literal["started", "iteration", "ended"]
    content: dict[str, Any]


class Mailbox:
    """An actor with one order at a time. An order stays until its end was told, so a restarted worker gets it again."""

    def __init__(self) -> None:
        self._order: Order | None = None
        self._tries, self._reason = 0, ""
        self._allowed = 0
        self._closed = False
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._change = asyncio.Condition()

    async def give(self, order: Order) -> None:
        """Replace the order there is, if any."""
        async with self._change:
            self._order, self._tries, self._reason, self._allowed = order, 0, "", 0
            self._change.notify_all()

    async def allow(self, iterations: int) -> None:
        """The order may go on after so many iterations of it."""
        async with self._change:
            self._allowed = max(self._allowed, iterations)
            self._change.notify_all()

    async def close(self) -> None:
        """No more orders."""
        async with self._change:
            self._closed, self._order = True, None
            self._change.notify_all()

    async def next_event(self) -> Event:
        """The next event, waited for."""
        return await self._events.get()

    async def next_order(self) -> Order | None:
        """The order to work on, waited for; None when the mailbox is closed."""
        while True:
            async with self._change:
                await self._change.wait_for(lambda: self._closed or self._order is not None)
                if self._order is None:
                    return None
                if self._tries <= WORKER_RETRIES:
                    self._tries += 1
                    return self._order
                error = f"its worker died {self._tries} times{self._reason and f'; the last time: {self._reason}'}"
                number = self._order.number
            await self.tell(Event(number=number, kind="ended", content={"error": error}))

    async def tell(self, event: Event) -> None:
        """Something happened to an order; what is told of a replaced one is dropped."""
        async with self._change:
            if self._order is None or event.number != self._order.number:
                return
            if event.kind == "ended":
                self._order = None
        self._events.put_nowait(event)

    async def note(self, number: int, reason: str) -> None:
        """Why the worker that has the order dies, as far as it can say."""
        async with self._change:
            if not self._is_replaced(number):
                self._reason = reason

    async def may_go_on(self, number: int, iterations: int) -> bool:
        """Whether an order may go on after so many iterations; waits until that is known."""
        async with self._change:
            await self._change.wait_for(lambda: self._is_replaced(number) or self._allowed >= iterations)
            return not self._is_replaced(number)

    def _is_replaced(self, number: int) -> bool:
        return self._order is None or self._order.number != number


def start_mailbox() -> Any:
    """A mailbox on the node of the trial that starts it, so that no other node takes it along when it goes."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
