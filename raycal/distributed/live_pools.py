"""The live pools of a sweep: the annotations that its running experiments have so far, which other processes can read.

One actor holds all pools, so that a trial does not have to start its own.
"""

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util import list_named_actors

from raycal.algorithm.pool import Pool
from raycal.algorithm.records import Interaction, IterationResult, PoolSnapshot

NAMESPACE = "raycal"
PREFIX = "pools/"
LEDGER_TAIL = 1000
NAME_TRIES = 20


class LivePool:
    """A copy of a running experiment's pool.

    If the copy and the run folder differ, the run folder is right. Commits are keyed by iteration, so that a commit
    sent twice changes nothing. If the actor that holds the copy was restarted, the copy is complete again after the
    next commit.
    """

    def __init__(self, num_samples: int) -> None:
        self._pool = Pool.of(num_samples)
        self._iteration = -1
        self._interactions = 0
        self._tail: deque[Interaction] = deque(maxlen=LEDGER_TAIL)

    def commit(self, result: IterationResult) -> int:
        """Take over a finished iteration, and return the newest iteration that is known."""
        if result.iteration > self._iteration:
            self._pool = Pool(result.pool)
            self._iteration, self._interactions = result.iteration, result.interactions
            self._tail.extend(result.ledger)
        return self._iteration

    def counts(self) -> dict[str, int]:
        """The iteration, the interactions, and the sizes of the parts of the pool on which the model was last
        trained."""
        return {
            "iteration": self._iteration,
            "interactions": self._interactions,
            "unlabeled": self._pool.num_unlabeled,
            "labeled": self._pool.num_labeled,
            "cluster_labeled": self._pool.num_cluster_labeled,
            "pseudo_labeled": self._pool.num_pseudo_labeled,
        }

    def snapshot(self) -> PoolSnapshot:
        """The partition that the model was last trained on."""
        return self._pool.snapshot()

    def ledger_tail(self, rows: int = 20) -> list[Interaction]:
        """The newest interactions, oldest first; at most 1,000 are kept."""
        return list(self._tail)[-rows:] if rows > 0 else []


class LivePools:
    """The live pool of every experiment that is running, by id."""

    def __init__(self) -> None:
        self._pools: dict[str, LivePool] = {}

    def commit(self, experiment_id: str, result: IterationResult) -> None:
        """Take over a finished iteration of an experiment."""
        pool = self._pools.setdefault(experiment_id, LivePool(len(result.pool.status)))
        pool.commit(result)

    def end(self, experiment_id: str) -> None:
        """Forget the pool of an experiment that has ended; from now on its run folder is the only record."""
        self._pools.pop(experiment_id, None)

    def counts(self) -> dict[str, dict[str, int]]:
        """The counts of every running experiment that has finished an iteration."""
        return {experiment_id: pool.counts() for experiment_id, pool in self._pools.items()}

    def snapshot(self, experiment_id: str) -> PoolSnapshot | None:
        """The partition that an experiment's model was last trained on; None if this actor has no pool of the
        experiment."""
        pool = self._pools.get(experiment_id)
        return None if pool is None else pool.snapshot()

    def ledger_tail(self, experiment_id: str, rows: int) -> list[Interaction] | None:
        """The newest interactions of an experiment, oldest first; None if this actor has no pool of the experiment."""
        pool = self._pools.get(experiment_id)
        return None if pool is None else pool.ledger_tail(rows)


def start_pools(folder: str) -> Any:
    """Start the actor that holds the pools of the sweep in `folder`; it lives as long as the driver that starts it."""
    digest = hashlib.sha256(folder.encode()).hexdigest()[:12]
    actor = ray.remote(LivePools).options(name=PREFIX + digest, namespace=NAMESPACE, num_cpus=0, max_restarts=-1)
    for _ in range(NAME_TRIES):
        try:
            return actor.remote()
        except ValueError:  # The actor of an interrupted start goes on running for some seconds.
            time.sleep(1)
    return actor.remote()


def short(result: IterationResult) -> IterationResult:
    """The result without its older interactions, which a live pool would drop anyway."""
    return replace(result, ledger=result.ledger[-LEDGER_TAIL:])


def ask(pools: Any, method: str, *arguments: Any) -> Any:
    """Call a method of an actor with live pools. None if the actor has ended."""
    try:
        return ray.get(getattr(pools, method).remote(*arguments))
    except RayActorError:
        return None


def running() -> Iterator[tuple[Any, dict[str, dict[str, int]]]]:
    """Every actor with live pools on the Ray cluster, with the counts of its experiments."""
    for actor in list_named_actors(all_namespaces=True):
        if actor["namespace"] == NAMESPACE and actor["name"].startswith(PREFIX):
            try:
                pools = ray.get_actor(actor["name"], namespace=NAMESPACE)
            except ValueError:  # The sweep of the actor has just ended.
                continue
            yield pools, ask(pools, "counts") or {}
