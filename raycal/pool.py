"""`raycal pool` or `python -m raycal.pool`: prints what the experiments running on a Ray cluster have annotated so far.

From Python: `with raycal.attach("digits-random-s0-1a2b3c4d") as pool: print(pool.counts())`.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from raycal.errors import InputError
from raycal.installed import need_ray
from raycal.output import INPUT_ERROR, exit_code_of
from raycal.output import run as run_command_line

if TYPE_CHECKING:
    from raycal.algorithm.records import Interaction, PoolSnapshot

PROG = "python -m raycal.pool"
DESCRIPTION = "Print what the experiments running on a Ray cluster have annotated so far."
OK = 0


class PoolView:
    """The pool of a running experiment, seen from another process.

    Each call returns the state after the newest finished iteration. `attach` returns such an object.

    Raises:
        LookupError: Raised by every method if the experiment has ended. `raycal.read_sweep` reads its results.
    """

    def __init__(self, pools: Any, experiment_id: str) -> None:
        self._pools, self.experiment_id = pools, experiment_id

    def counts(self) -> dict[str, int]:
        """Return the `iteration` (from 0), the `interactions` spent, and how many images have which status.

        The statuses are `unlabeled`, `labeled`, `cluster_labeled` and `pseudo_labeled`.
        """
        counts: dict[str, int] = self._found((self._call("counts") or {}).get(self.experiment_id))
        return counts

    def snapshot(self) -> "PoolSnapshot":
        """Return the state of the pool on which the model was last trained. The state consists of `status` (P,) int8
        and `labels` (P,) int32; a sample without a label has the label -1."""
        snapshot: PoolSnapshot = self._found(self._call("snapshot", self.experiment_id))
        return snapshot

    def ledger_tail(self, rows: int = 20) -> "list[Interaction]":
        """Return the newest interactions, the oldest one first. At most 1,000 interactions are kept."""
        tail: list[Interaction] = self._found(self._call("ledger_tail", self.experiment_id, rows))
        return tail

    def _call(self, method: str, *arguments: Any) -> Any:
        from raycal.distributed.live_pools import ask

        return ask(self._pools, method, *arguments)

    def _found(self, answer: Any) -> Any:
        if answer is None:
            raise LookupError(f"{self.experiment_id} has ended; its run folder has its results and its ledger")
        return answer


@contextmanager
def attach(experiment_id: str, *, address: str | None = None) -> Iterator[PoolView]:
    """Look at the live pool of an experiment that runs on a Ray cluster.

    Args:
        experiment_id: The id that the sweep prints.
        address: The address of the Ray cluster. None means `RAY_ADDRESS` if it is set, otherwise the cluster that
            runs on this machine. A process that is connected to a cluster uses that cluster.

    Yields:
        The pool, which can be used until the block ends.

    Raises:
        InputError: There is no such cluster, or no experiment with this id is running on it and has finished an
            iteration.

    Example:
        >>> with raycal.attach("digits-random-s0-1a2b3c4d") as pool:  # doctest: +SKIP
        ...     pool.counts()
        {'iteration': 3, 'interactions': 80, 'unlabeled': 120, 'labeled': 80, 'cluster_labeled': 0, 'pseudo_labeled': 0}
    """
    need_ray()
    from raycal.distributed.live_pools import running
    from raycal.distributed.session import visit

    with visit(address):
        pools_of = {key: pools for pools, counts in running() for key in counts}
        if experiment_id not in pools_of:
            known = ", ".join(sorted(pools_of)) or "no experiment has finished an iteration"
            raise InputError(f"{experiment_id}: no such experiment is running here (running: {known})")
        yield PoolView(pools_of[experiment_id], experiment_id)


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Print the counts of every running experiment, or one experiment's newest interactions; return the exit code."""
    parser = argparse.ArgumentParser(prog=prog, description=DESCRIPTION)
    parser.add_argument("experiment", nargs="?", help="id of the experiment whose newest interactions are printed")
    parser.add_argument("--rows", type=int, default=20, help="number of interactions to print (default: 20)")
    parser.add_argument(
        "--address", help="address of the Ray cluster (default: RAY_ADDRESS or, if not set, this machine)"
    )
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _print(options), {LookupError: INPUT_ERROR})


# Runs the command line, by default the command line of this process, and ends the process.
run = partial(run_command_line, main)


def _print(options: argparse.Namespace) -> int:
    if options.experiment is None:
        _print_all(options.address)
    else:
        _print_one(options.experiment, options.rows, options.address)
    return OK


def _print_all(address: str | None) -> None:
    need_ray()
    from raycal.distributed.live_pools import running
    from raycal.distributed.session import visit

    with visit(address):
        everything = {key: counts for _, counts_of in running() for key, counts in counts_of.items()}
    width = max(map(len, everything), default=0)
    for key, counts in sorted(everything.items()):
        print(f"{key:{width}}  " + "  ".join(f"{name} {value:,}" for name, value in counts.items()))
    if not everything:
        print("no experiment that runs here has finished an iteration")


def _print_one(experiment_id: str, rows: int, address: str | None) -> None:
    with attach(experiment_id, address=address) as pool:
        for row in pool.ledger_tail(rows):
            label = "-" if row.label is None else row.label
            print(
                f"{row.interaction:>8}  iteration {row.iteration}  {row.kind:<7}  {row.answer:<8}  label {label:<4}"
                f"  {row.num_samples:,} samples"
            )
        print("  ".join(f"{name} {value:,}" for name, value in pool.counts().items()))


if __name__ == "__main__":
    run()
