"""The resources of a Ray cluster that the trials of a sweep get."""

from dataclasses import dataclass, replace

from raycal.capacity.gpu_shares import UNIT
from raycal.capacity.packing import DRIVER_UNITS, WORKER_UNITS
from raycal.config import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringShare:
    """The resources of one clustering actor.

    Attributes:
        node_id: The id of the node where the actor should run; empty means any node.
        threads: CPU threads of each clustering.
        gpus: The actor's share of a GPU, or 0.
        concurrency: How many clusterings the actor runs at a time.
    """

    node_id: str
    threads: int
    gpus: float
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The resources of each trial, how many trials run at once, and where clustering runs.

    Attributes:
        workers: Workers of each trial.
        threads: CPU threads of each worker.
        gpus: GPUs of each worker; a part of one GPU, or whole GPUs.
        clustering: The clustering actors, at most one per trial; empty if everything runs in one process.
        driver_bytes: Memory to ask Ray for per trial's driver; 0 means that no memory is asked for.
        worker_bytes: Memory to ask Ray for per worker; 0 means that no memory is asked for.
        compile: Whether networks are compiled. None means that they are compiled if compiling saves time.
    """

    workers: int
    threads: int
    gpus: float
    concurrent_trials: int
    clustering: tuple[ClusteringShare, ...]
    driver_bytes: int = 0
    worker_bytes: int = 0
    compile: bool | None = None

    @property
    def driver(self) -> dict[str, float]:
        """The resources to ask Ray for a trial's driver: so few that the driver never takes the core that its workers
        wait for."""
        return _asked({"CPU": DRIVER_UNITS / UNIT, "memory": self.driver_bytes})

    @property
    def worker(self) -> dict[str, float]:
        """The resources to ask Ray for a worker: a little less than whole cores, so that drivers fit beside the
        worker."""
        cpus = self.threads * WORKER_UNITS / UNIT
        return _asked({"CPU": cpus, "GPU": self.gpus, "memory": self.worker_bytes})

    @property
    def of_worker(self) -> WorkerSettings:
        """Compute settings of one worker. Without an allotted GPU share (`--local`), the worker may use the whole
        GPU."""
        return WorkerSettings(threads=self.threads, gpu_share=min(self.gpus, 1.0) or 1.0, compile=self.compile)

    def at_most(self, trials: int) -> "Allocation":
        """The same allocation with at most `trials` trials at a time."""
        concurrent = min(self.concurrent_trials, trials)
        actors = self.clustering[:concurrent]
        return replace(
            self,
            concurrent_trials=concurrent,
            clustering=tuple(replace(actor, concurrency=min(actor.concurrency, concurrent)) for actor in actors),
        )

    def __str__(self) -> str:
        gpus = f" and {count(self.gpus, 'GPU')}" if self.gpus else ""
        kind = "GPU" if any(actor.gpus for actor in self.clustering) else "CPU"
        clustering = f"on {count(len(self.clustering), f'{kind} actor')}" if self.clustering else "in the same process"
        return (
            f"{count(self.concurrent_trials, 'trial')} at a time, {count(self.workers, 'worker')} each with "
            f"{count(self.threads, 'CPU thread')}{gpus}; clustering {clustering}"
        )


def count(number: float, noun: str) -> str:
    """A number with its noun, in the singular or the plural."""
    return f"{number:g} {noun}{'s' if number == 0 or number > 1 else ''}"


def _asked(resources: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in resources.items() if amount}
