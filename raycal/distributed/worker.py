"""The Train worker, which runs the experiments it is given, one after another."""

import logging
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
from raycal.distributed.mailbox import Event, Order
from raycal.distributed.plugins_on_nodes import load_here
from raycal.distributed.shared import Shared
from raycal.errors import InfrastructureError, StoppedError, TakenOverError
from raycal.experiment.run import follow_experiment, run_experiment
from raycal.learner.device import free_memory
from raycal.learner.team import Team
from raycal.storage.folder import Folder
from raycal.storage.owner import Owner
from raycal.storage.results import OBJECTIVE, area_under_budget_curve
from raycal.storage.run_dir import RunDir


def run_worker(settings: dict[str, Any]) -> None:
    """Run experiments until there are no more; the first worker of a group leads, the others compute their shares.

    Args:
        settings: `shared`, the data that all workers share, and `mailbox`, the handle of the group's mailbox.
    """
    shared, mailbox = settings["shared"], settings["mailbox"]
    # Relative paths start from the folder in which the user started the sweep.
    if os.path.isdir(shared.working_directory):
        os.chdir(shared.working_directory)
    _quiet_train()
    if not shared.allotment.gpus:
        hide_gpus()
    team = Team.of_process_group()
    while (order := team.share(ray.get(mailbox.next_order.remote()) if team.leads else None)) is not None:
        config = ExperimentConfig.model_validate(order.settings)
        if team.leads:
            _run(order, config, shared, mailbox, team)
        else:
            expected = shared.expected.get(order.experiment_id)
            follow_experiment(
                config,
                shared.allotment.of_worker,
                team,
                expected=expected,
                load_plugins=lambda: load_here(shared.plugins),
            )
        free_memory()


def _run(order: Order, config: ExperimentConfig, shared: Shared, mailbox: Any, team: Team) -> None:
    """Run one experiment until it ends, until its failure is recorded, or until the scheduler stops it."""
    sweep = Folder.at(shared.folder)
    run_dir = RunDir(sweep.folder(order.experiment_id), Owner(sweep, shared.owner))

    def tell(kind: Any, **content: Any) -> Any:
        return mailbox.tell.remote(Event(number=order.number, kind=kind, content=content))

    def to_pool(line: dict[str, Any], result: IterationResult) -> None:
        # The call is not waited for: the pool is a copy, and the trial can do without it.
        shared.pools.commit.remote(order.experiment_id, short(result))

    def objective() -> dict[str, Any]:
        return {OBJECTIVE: area_under_budget_curve(run_dir.results())}

    def to_tune(line: dict[str, Any], result: IterationResult) -> None:
        iterations = result.iteration + 1
        if iterations == config.steps.iterations(config.iterations):
            tell("iteration", **line)  # nothing is left for a scheduler to decide
            return
        tell("iteration", **line, **objective())
        if shared.wait_for_scheduler and not ray.get(mailbox.may_go_on.remote(order.number, iterations)):
            raise StoppedError(f"stopped by the scheduler after {iterations} iterations")

    ended: dict[str, str] = {}
    try:
        run_experiment(
            config,
            run_dir,
            shared.allotment.of_worker,
            team=team,
            expected=shared.expected.get(order.experiment_id),
            load_plugins=lambda: load_here(shared.plugins),
            on_start=lambda: tell("started", time=time.time()),
            observers=(to_pool, to_tune),
            clustering=RemoteClustering(
                nearest(shared.clusterings, order.experiment_id), config.clustering.name, config.clustering.options
            ),
        )
    except StoppedError:
        pass  # Tune stopped it and has given its place to another trial
    except TakenOverError as error:  # another try would fare no better
        ended["error"] = str(error)
    except InfrastructureError as error:
        ray.get(mailbox.note.remote(order.number, str(error)))
        raise
    finally:
        shared.pools.end.remote(order.experiment_id)
    ray.get(tell("ended", **objective(), **ended))


def _quiet_train() -> None:
    """Silence Train's context: Ray 2.60 logs it at INFO in every worker whatever LoggingConfig says."""
    import ray.train.v2._internal.execution.context as context

    logging.getLogger(context.__file__).setLevel(logging.WARNING)
