"""Connects a trial to its worker group. A mailbox passes one order at a time to the workers, and returns the events of
the order."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raycal.distributed.retries import WORKER_RETRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """An experiment to run.

    Attributes:
        settings: The settings of the experiment, in a form that `ExperimentConfig` accepts.
        number: The number of the order, counted by the mailbox, which distinguishes two orders of the same experiment.
    """

    experiment_id: str
    settings: dict[str, Any]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of an order.

    Attributes:
        number: The number of the order.
        kind: `started`: data and model are loaded; `iteration`: an iteration was saved; `ended`: no event follows.
        content: For an iteration its results line, for a start its `time`, and for an end its `error`, if an error
            ended the order.
    """

    number: int
    kind: Literal["started", "iteration", "ended"]
    content: dict[str, Any]


class Mailbox:
    """An actor that holds one order at a time, until the end of the order is reported. A worker that is restarted gets
    the order again."""

    def __init__(self) -> None:
        self._order: TrialOrder | None = None
        self._tries, self._reason = 0, ""
        self._allowed = 0
        self._closed = False
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._change = asyncio.Condition()

    async def give(self, order: TrialOrder) -> None:
        """Set the order, which replaces an earlier one."""
        async with self._change:
            self._order, self._tries, self._reason, self._allowed = order, 0, "", 0
            self._change.notify_all()

    async def allow(self, iterations: int) -> None:
        """Let the order continue after this number of its iterations."""
        async with self._change:
            self._allowed = max(self._allowed, iterations)
            self._change.notify_all()

    async def close(self) -> None:
        """Accept no more orders."""
        async with self._change:
            self._closed, self._order = True, None
            self._change.notify_all()

    async def next_event(self) -> Event:
        """Wait for the next event."""
        return await self._events.get()

    async def next_order(self) -> TrialOrder | None:
        """Wait for the order to work on. None if the mailbox is closed."""
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
        """Report an event of an order; events of a replaced order are dropped."""
        async with self._change:
            if self._order is None or event.number != self._order.number:
                return
            if event.kind == "ended":
                self._order = None
        self._events.put_nowait(event)

    async def note(self, number: int, reason: str) -> None:
        """Record why the worker that runs the order is about to die, as far as the worker can tell."""
        async with self._change:
            if not self._is_replaced(number):
                self._reason = reason

    async def may_go_on(self, number: int, iterations: int) -> bool:
        """Wait until an order may continue after this number of iterations. Return False if the order was replaced."""
        async with self._change:
            await self._change.wait_for(lambda: self._is_replaced(number) or self._allowed >= iterations)
            return not self._is_replaced(number)

    def _is_replaced(self, number: int) -> bool:
        return self._order is None or self._order.number != number


def start_mailbox() -> Any:
    """Start a mailbox on the node of the calling trial, so that the death of another node cannot take it away."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
