"""All private or internal names of Ray that raycal uses. These are the names in Ray 2.60.

Ray changes such names without notice, so `pyproject.toml` pins its version. When you raise the version, run
`tests/distributed/test_ray_internals.py`, which fails with each name that the new version lacks. Then check whether the
public API of the new version is enough; the comments say what the public API of Ray 2.60 lacks. Ray Train is imported
late, because the import takes over a second.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from ray._private import services, state
from ray._private.authentication import authentication_token_setup
from ray._private.grpc_utils import init_grpc_channel
from ray._private.ray_logging import stdout_deduplicator
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2 import GetClusterIdRequest, KillActorViaGcsRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import ActorInfoGcsServiceStub, NodeInfoGcsServiceStub

if TYPE_CHECKING:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

ANSWER_SECONDS = 8.0
# Ray gives this resource to the head node alone. No public function says which node is the head node.
HEAD_RESOURCE = "node:__internal_head__"
# Actors of Ray Train, by the names of their classes. The controller drives a worker group. The cleaner removes the
# group's resources if the controller is killed. Train has no public function that ends these actors of a job.
CONTROLLER, CLEANER = "TrainController", "PlacementGroupCleaner"


def bootstrap_address(address: str | None) -> str | None:
    """The `host:port` of the cluster to which `ray.init` would connect. None if `ray.init` would start a cluster.

    `ray.init` reports the address only after it has connected.
    """
    # Ray warns at every start when several clusters run on one machine.
    logging.getLogger(services.__name__).setLevel(logging.ERROR)
    canonical: str | None = services.canonicalize_bootstrap_address(address)  # type: ignore[arg-type]
    return canonical


def use_token_if_there_is_one() -> None:
    """Let the functions of this module send the user's token, which `ray.init` does by itself.

    Raises:
        RuntimeError: There is no home folder to look for the token.
    """
    authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def hide_token_warning() -> None:
    """Hide the warning that a cluster requires a token from every client. No setting of `ray.init` hides it."""
    logging.getLogger(authentication_token_setup.__name__).setLevel(logging.ERROR)


def ask_head_node(address: str) -> None:
    """Return when the head node at `host:port` has answered. If it does not answer, `ray.init` would try for a long
    time and report little.

    Raises:
        AuthenticationError: RAY_AUTH_MODE is `token`, and there is no token.
        grpc.RpcError: The head node does not answer, or it requires another token.
    """
    with _channel(address) as gcs:
        stub = NodeInfoGcsServiceStub(gcs)  # type: ignore[no-untyped-call]
        stub.GetClusterId(GetClusterIdRequest(), timeout=ANSWER_SECONDS)


def ended_jobs() -> set[str]:
    """The ids of the cluster's jobs that have ended.

    Neither this function nor the next two use the public API `ray.util.state`, because that API needs the dashboard and
    limits the number of rows.
    """
    return {job["JobID"] for job in state.jobs() if job["IsDead"]}  # type: ignore[no-untyped-call]


def living_actors() -> dict[str, dict[str, Any]]:
    """The actors of all jobs that have not ended, by id, with `JobID`, `ActorClassName` and `IsDetached`."""
    return {key: actor for key, actor in state.actors().items() if actor["State"] != "DEAD"}


def placement_groups() -> list[Any]:
    """The placement groups that hold or ask for resources and are not detached.

    `ray.util.placement_group_table` does not say which job and actor made a group.
    """
    table = state.state._connect_and_get_accessor().get_placement_group_table()
    groups = map(PlacementGroupTableData.FromString, table)
    return [group for group in groups if group.state != PlacementGroupTableData.REMOVED and not group.is_detached]


def end_actors(keys: Iterable[str], address: str) -> None:
    """End actors by their ids. `ray.kill` needs a handle, which only the actor's own job has.

    Args:
        address: The `host:port` of the head node.
    """
    with _channel(address) as gcs:
        stub = ActorInfoGcsServiceStub(gcs)  # type: ignore[no-untyped-call]
        for key in keys:
            request = KillActorViaGcsRequest(actor_id=bytes.fromhex(key), force_kill=True, no_restart=True)
            stub.KillActorViaGcs(request, timeout=ANSWER_SECONDS)


def hide_driver_lines(pattern: re.Pattern[str]) -> None:
    """Hide lines of Ray in the output of the driver.

    RAY_DEDUP_LOGS_SKIP_REGEX has an effect only if it is set before the first import of Ray, which may be a user's.
    """
    stdout_deduplicator.skip_re = pattern


def data_parallel_trainer() -> "type[DataParallelTrainer]":
    """The trainer of Train v2 that takes any backend, without Ray Data.

    `ray.train.data_parallel_trainer` has the trainer of v1, and `ray.train.torch.TorchTrainer` would import torch into
    the trial and into the controller, which takes seconds and 600 MB each. Every trainer starts an actor that hands out
    datasets of Ray Data, even if there are none; this one does not, because each actor is a process of 100 MB that
    takes over a second to start.
    """
    from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class TrainerWithoutDatasets(DataParallelTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            return [each for each in super()._create_default_callbacks() if not isinstance(each, DatasetsCallback)]

    return TrainerWithoutDatasets


def quiet_train_workers() -> None:
    """Silence Train's context, which logs at INFO in every worker whatever `ray.train.LoggingConfig` says."""
    from ray.train.v2._internal.execution import context

    logging.getLogger(context.__file__).setLevel(logging.WARNING)


@contextmanager
def _channel(address: str) -> Iterator[grpc.Channel]:
    """A channel to the services of the cluster's head node, which is closed at the end of the block."""
    opened = init_grpc_channel(address)
    try:
        yield opened
    finally:
        opened.close()
