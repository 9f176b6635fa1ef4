"""The Train worker, which runs the experiments it is given, one after another."""

import os
import time
from typing import Any

import ray

from raycal.algorithm.records import IterationResult
from raycal.capacity.gpu_shares import hide_gpus
from raycal.config import ExperimentConfig
from raycal.distributed.clustering_actor import nearest
from raycal.distributed.clustering_client import RemoteClustering
from raycal.distributed.live_pools import short
from raycal.distributed.mailbox import Event, TrialOrder
from raycal.distributed.plugins_on_nodes import load_here
from raycal.distributed.ray_internals import quiet_train_workers
from raycal.distributed.sweep_context import SweepContext
from raycal.errors import InfrastructureError, StoppedError, TakenOverError
from raycal.experiment.run import follow_experiment, run_experiment
from raycal.learner.device import free_memory
from raycal.learner.team import Team
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.results import OBJECTIVE, IterationRecord, area_under_budget_curve
from raycal.storage.run_writer import RunWriter


def run_worker(settings: dict[str, Any]) -> None:
    """Run experiments until there are no more. The first worker of a group leads; the other workers compute their
    parts.

    Args:
        settings: `context`, the data that all workers share, and `mailbox`, the handle of the group's mailbox.
    """
    context, mailbox = settings["context"], settings["mailbox"]
    # Relative paths start from the folder in which the user started the sweep.
    if os.path.isdir(context.working_directory):
        os.chdir(context.working_directory)
    quiet_train_workers()
    if not context.allocation.gpus:
        hide_gpus()
    team = Team.of_process_group()
    while (order := team.broadcast(ray.get(mailbox.next_order.remote()) if team.leads else None)) is not None:
        config = ExperimentConfig.model_validate(order.settings)
        if team.leads:
            _run(order, config, context, mailbox, team)
        else:
            expected = context.expected.get(order.experiment_id)
            follow_experiment(
                config,
                context.allocation.of_worker,
                team,
                expected=expected,
                load_plugins=lambda: load_here(context.plugins),
            )
        free_memory()


def _run(order: TrialOrder, config: ExperimentConfig, context: SweepContext, mailbox: Any, team: Team) -> None:
    """Run one experiment until it ends, until its failure is recorded, or until the scheduler stops it."""
    sweep = Folder.at(context.folder)
    run_dir = RunWriter(sweep.folder(order.experiment_id), Lease(sweep, context.lease))

    def tell(kind: Any, **content: Any) -> Any:
        return mailbox.tell.remote(Event(number=order.number, kind=kind, content=content))

    def to_pool(line: IterationRecord, result: IterationResult) -> None:
        # The worker does not wait for this call, because the live pool is a copy that the trial does not need.
        context.pools.commit.remote(order.experiment_id, short(result))

    def objective() -> dict[str, Any]:
        return {OBJECTIVE: area_under_budget_curve(run_dir.results())}

    def to_tune(line: IterationRecord, result: IterationResult) -> None:
        iterations = result.iteration + 1
        if iterations == config.resolved_scenario.iterations(config.iterations):
            tell("iteration", **line)  # After the last iteration, a scheduler has nothing to decide.
            return
        tell("iteration", **line, **objective())
        if context.wait_for_scheduler and not ray.get(mailbox.may_go_on.remote(order.number, iterations)):
            raise StoppedError(f"stopped by the scheduler after {iterations} iterations")

    ended: dict[str, str] = {}
    try:
        run_experiment(
            config,
            run_dir,
            context.allocation.of_worker,
            team=team,
            expected=context.expected.get(order.experiment_id),
            load_plugins=lambda: load_here(context.plugins),
            on_start=lambda: tell("started", time=time.time()),
            observers=(to_pool, to_tune),
            clustering=RemoteClustering(
                nearest(context.clusterings, order.experiment_id), config.clustering.name, config.clustering.options
            ),
        )
    except StoppedError:
        pass  # Tune stopped the trial and has given its slot to another one
    except TakenOverError as error:  # Another try would fail in the same way.
        ended["error"] = str(error)
    except InfrastructureError as error:
        ray.get(mailbox.note.remote(order.number, str(error)))
        raise
    finally:
        context.pools.end.remote(order.experiment_id)
    ray.get(tell("ended", **objective(), **ended))
