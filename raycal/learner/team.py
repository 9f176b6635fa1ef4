"""The workers of one trial: how they communicate, and how worker 0 leads the others.

Worker 0 runs Algorithm 1. When it calls a method of its learner that is decorated with `together`, the other workers
call the same method of their learners for their own parts of the data.
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

# Timeout of the commands: the other workers wait while worker 0 clusters or waits for answers of the expert. A worker
# that dies is noticed at once whatever the timeout.
PATIENCE = timedelta(days=365)

# Timeout of the default process group; a collective that waits longer fails.
JOIN_PATIENCE = timedelta(minutes=30)

P = ParamSpec("P")
R = TypeVar("R")


class Team:
    """The workers of one trial, from the view of one worker.

    Attributes:
        rank: The rank of this worker; worker 0 leads.
        size: The number of workers.
    """

    def __init__(self, rank: int, size: int, group: Any) -> None:
        self.rank, self.size = rank, size
        self._group = group
        self._in_step = True

    @classmethod
    def alone(cls) -> Self:
        """A team of a single worker, which communicates with nobody."""
        return cls(0, 1, None)

    @classmethod
    def of_process_group(cls) -> Self:
        """The workers of torch's default process group; a team of one when there is no group.

        Every worker of the group must call this method.
        """
        if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return cls.alone()
        # A separate group is used for two reasons: commands go through gloo whatever backend the gradients use, and the
        # next command may take long to come.
        group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        return cls(distributed.get_rank(), distributed.get_world_size(), group)

    @property
    def leads(self) -> bool:
        """Whether this worker is worker 0."""
        return self.rank == 0

    def broadcast(self, value: Any) -> Any:
        """The value of worker 0, on every worker; it must be picklable."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group, device=torch.device("cpu"))
        return values[0]

    def all_reduce(self, *values: float) -> list[float]:
        """The sum of each value over all workers, in float64."""
        total = torch.tensor(values, dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(total, group=self._group)
        return total.tolist()

    def all_true(self, flag: bool) -> bool:
        """Whether the flag is true on every worker."""
        return self.all_reduce(float(not flag)) == [0]

    def shard(self, num_rows: int) -> slice:
        """The slice of rows that this worker processes."""
        return shards(num_rows, self.size)[self.rank]

    def gather(self, shard: Floats, num_rows: int) -> Floats:
        """All rows (num_rows, ...) on worker 0, joined from each worker's `shard`; other workers return `shard`."""
        if self.size == 1:
            return shard
        if not self.leads:
            if len(shard):
                distributed.send(torch.from_numpy(shard), dst=0, group=self._group)
            return shard
        rows = np.empty((num_rows, *shard.shape[1:]), shard.dtype)
        for rank, part in enumerate(shards(num_rows, self.size)):
            if rank == 0:
                rows[part] = shard
            elif part.start < part.stop:
                distributed.recv(torch.from_numpy(rows[part]), src=rank, group=self._group)
        return rows

    def ddp(self, network: nn.Module) -> nn.Module:
        """The network wrapped so that all workers start from worker 0's weights and average their gradients.

        A single worker returns the network itself.
        """
        if self.size == 1:
            return network
        # The wrapper is made again for every training, so that a resumed experiment gives the same results. The wrapper
        # orders the gradients by its first step, and the last bits of sums over three or more workers depend on that
        # order.
        with warnings.catch_warnings():
            # The replacement that torch 2.15 recommends is missing from the oldest supported torch.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            return DistributedDataParallel(network, broadcast_buffers=False)

    def lead(self, command: str, args: tuple[Any, ...], kwargs: dict[str, Any], own_shard: Callable[[], R]) -> R:
        """Have every worker call a method of its learner; worker 0 calls `own_shard`.

        Args:
            command: The name of the method.

        Raises:
            DivergedError: The training diverged; the workers are still in step.
            InfrastructureError: A worker failed; the workers are no longer in step and must all start again.
        """
        self._in_step = False
        try:
            self.broadcast((command, args, kwargs))
            result = own_shard()
        except DivergedError:  # this error is raised after the last message of a command, so the workers are in step
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
        """End the `serve_as_worker` loops of the other workers; does nothing when the workers are no longer in step."""
        if self.size == 1 or not self._in_step:
            return
        try:
            self.broadcast(None)
        except RuntimeError as error:
            logger.warning("a worker was gone before its dismissal: %s", error)

    def listen(self) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        """The next command of worker 0, which is the name of a method with its arguments. None when worker 0 ends the
        loops of the other workers."""
        order: tuple[str, tuple[Any, ...], dict[str, Any]] | None = self.broadcast(None)
        return order

    def serve_as_worker(self, learner: object) -> None:
        """Carry out the commands of worker 0 with this worker's learner until worker 0 dismisses this worker.

        Any error ends this worker, except a divergence, which worker 0 detects itself.
        """
        while (order := self.listen()) is not None:
            command, args, kwargs = order
            with suppress(DivergedError):
                getattr(learner, command)(*args, **kwargs)


def join(collectives: str, meeting_point: str, rank: int, size: int) -> None:
    """Make torch's default process group and return when all workers have joined it.

    Args:
        collectives: The backend: `gloo`, `nccl`, or one per kind of device as in `cpu:gloo,cuda:nccl`.
        meeting_point: `tcp://host:port` on the machine of worker 0, or `file://path`.
    """
    distributed.init_process_group(collectives, meeting_point, JOIN_PATIENCE, size, rank)


class Member(Protocol):
    """An object with a team, such as a learner."""

    @property
    def team(self) -> Team: ...


M = TypeVar("M", bound=Member)


def together(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Decorate a method that all workers carry out when worker 0 calls it; its arguments must be picklable."""

    @wraps(method)
    def command(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.team.size == 1 or not self.team.leads:
            return method(self, *args, **kwargs)
        return self.team.lead(method.__name__, args, kwargs, lambda: method(self, *args, **kwargs))

    return command


def shards(num_rows: int, size: int) -> list[slice]:
    """Contiguous slices of the rows, one per worker; if the rows cannot be divided evenly, the first slices are one row
    longer."""
    length, longer = divmod(num_rows, size)
    ends = [rank * length + min(rank, longer) for rank in range(size + 1)]
    return [slice(begin, end) for begin, end in pairwise(ends)]
