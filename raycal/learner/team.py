"""The workers of one trial: what they tell each other, and how one of them leads the others.

Worker 0 runs Algorithm 1. Each method of the learner that is marked `together` is a command to the others, who do their
own part of it.
"""

import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from itertools import pairwise
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from raycal.algorithm.records import Floats
from raycal.errors import DivergedError, InfrastructureError

logger = logging.getLogger(__name__)

# While worker 0 clusters or waits for answers the others wait for it; a worker that dies is noticed at once anyway.
PATIENCE = timedelta(days=365)

# For the process group's own calls; collectives that wait longer are lost.
JOIN_PATIENCE = timedelta(minutes=30)

P = ParamSpec("P")
R = TypeVar("R")


class Team:
    """The workers of one trial, as one of them sees it.

    Attributes:
        rank: Of this worker; 0 leads.
        size: How many there are.
    """

    def __init__(self, rank: int, size: int, group: Any) -> None:
        self.rank, self.size = rank, size
        self._group = group
        self._in_step = True

    @classmethod
    def alone(cls) -> Self:
        """A single worker, which tells nobody anything."""
        return cls(0, 1, None)

    @classmethod
    def of_process_group(cls) -> Self:
        """The workers of torch's default process group, all of which call this; alone when there is none."""
        if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return cls.alone()
        # A group of its own: commands travel over gloo whatever the gradients travel over, and may be long in coming.
        group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        return cls(distributed.get_rank(), distributed.get_world_size(), group)

    @property
    def leads(self) -> bool:
        """Whether this is worker 0."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """Worker 0's value, on every worker; it must pickle."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group, device=torch.device("cpu"))
        return values[0]

    def sum(self, *values: float) -> list[float]:
        """The sum of each value over the workers, in float64."""
        total = torch.tensor(values, dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(total, group=self._group)
        return total.tolist()

    def all(self, flag: bool) -> bool:
        """Whether the flag is true on every worker."""
        return self.sum(float(not flag)) == [0]

    def part(self, num_rows: int) -> slice:
        """This worker's part of some rows."""
        return parts(num_rows, self.size)[self.rank]

    def gather(self, own: Floats, num_rows: int) -> Floats:
        """All rows (num_rows, ...) on worker 0, from the `part` of each worker; the others keep their own."""
        if self.size == 1:
            return own
        if not self.leads:
            if len(own):
                distributed.send(torch.from_numpy(own), dst=0, group=self._group)
            return own
        rows = np.empty((num_rows, *own.shape[1:]), own.dtype)
        for rank, part in enumerate(parts(num_rows, self.size)):
            if rank == 0:
                rows[part] = own
            elif part.start < part.stop:
                distributed.recv(torch.from_numpy(rows[part]), src=rank, group=self._group)
        return rows

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the workers, from worker 0's weights; itself when alone."""
        if self.size == 1:
            return network
        # Made anew for every training: it orders the gradients by what it sees in its first step, the last bits of sums
        # over three or more workers depend on the order, and a resumed experiment must sum as an uninterrupted one.
        with warnings.catch_warnings():
            # What torch 2.15 would have instead is unknown to the oldest torch accepted here.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            return DistributedDataParallel(network, broadcast_buffers=False)

    def lead(self, command: str, args: tuple[Any, ...], kwargs: dict[str, Any], own_part: Callable[[], R]) -> R:
        """Have every worker carry out a command of the learner, this one by `own_part`.

        Raises:
            InfrastructureError: A worker failed in it; the workers are no longer in step and must all start again.
        """
        self._in_step = False
        try:
            self.share((command, args, kwargs))
            result = own_part()
        except DivergedError:  # every worker knows of it
            self._in_step = True
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise InfrastructureError(
                f"the {self.size} workers lost step in {command.removeprefix('_')}: {what}"
            ) from error
        self._in_step = True
        return result

    def dismiss(self) -> None:
        """End what the others `follow`; nothing to say when they are lost."""
        if self.size == 1 or not self._in_step:
            return
        try:
            self.share(None)
        except RuntimeError as error:
            logger.warning("a worker was gone before its dismissal: %s", error)

    def listen(self) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        """Worker 0's next command with its arguments; None: dismissed."""
        order: tuple[str, tuple[Any, ...], dict[str, Any]] | None = self.share(None)
        return order

    def follow(self, learner: object) -> None:
        """Carry out worker 0's commands with this worker's learner until dismissed.

        Any error but a divergence, of which worker 0 hears too, ends this worker.
        """
        while (order := self.listen()) is not None:
            command, args, kwargs = order
            with suppress(DivergedError):
                getattr(learner, command)(*args, **kwargs)


def join(collectives: str, meeting_point: str, rank: int, size: int) -> None:
    """Make torch's default process group; returns when all workers have joined.

    Args:
        collectives: `gloo`, `nccl`, or one per kind of device as in `cpu:gloo,cuda:nccl`.
        meeting_point: `tcp://host:port` on the machine of worker 0, or `file://path`.
    """
    distributed.init_process_group(collectives, meeting_point, JOIN_PATIENCE, size, rank)


class Member(Protocol):
    """Has a team."""

    @property
    def team(self) -> Team: ...


M = TypeVar("M", bound=Member)


def together(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """A method that all workers carry out when worker 0 calls it; its arguments must pickle."""

    @wraps(method)
    def command(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.team.size == 1 or not self.team.leads:
            return method(self, *args, **kwargs)
        return self.team.lead(method.__name__, args, kwargs, lambda: method(self, *args, **kwargs))

    return command


def parts(num_rows: int, size: int) -> list[slice]:
    """Contiguous parts of some rows, one per worker; the first ones are a row longer when it does not come out even."""
    length, longer = divmod(num_rows, size)
    ends = [rank * length + min(rank, longer) for rank in range(size + 1)]
    return [slice(begin, end) for begin, end in pairwise(ends)]
