"""Tests that the installed Ray has every private name that raycal uses. If an upgrade removes a name, the failure shows
the name."""

import ast
import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from ray.core.generated import gcs_pb2, gcs_service_pb2

from raycal.distributed import ray_internals

# Each name, with the attributes of it that raycal uses.
NAMES = {
    "ray._common.constants": ["HEAD_NODE_RESOURCE_NAME"],
    "ray._private.authentication.authentication_token_setup": ["maybe_enable_token_auth_if_token_available"],
    "ray._private.grpc_utils": ["init_grpc_channel"],
    "ray._private.ray_logging": ["stdout_deduplicator.skip_re"],
    "ray._private.services": ["canonicalize_bootstrap_address"],
    "ray._private.state": ["actors", "jobs", "state._connect_and_get_accessor"],
    "ray._raylet": ["GlobalStateAccessor.get_placement_group_table"],
    "ray.core.generated.gcs_pb2": ["PlacementGroupTableData.FromString", "PlacementGroupTableData.REMOVED"],
    "ray.core.generated.gcs_service_pb2": ["GetClusterIdRequest", "KillActorViaGcsRequest"],
    "ray.core.generated.gcs_service_pb2_grpc": ["ActorInfoGcsServiceStub", "NodeInfoGcsServiceStub"],
    "ray.train.v2._internal.callbacks.datasets": ["DatasetsCallback"],
    "ray.train.v2._internal.execution.context": ["logger"],
    "ray.train.v2._internal.execution.controller.controller": ["TrainController"],
    "ray.train.v2._internal.execution.controller.placement_group_cleaner": ["PlacementGroupCleaner"],
    "ray.train.v2.api.data_parallel_trainer": ["DataParallelTrainer._create_default_callbacks"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in NAMES for name in NAMES[module]])
def test_name_is_there(module: str, name: str) -> None:
    attrgetter(name)(import_module(module))


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            gcs_pb2.PlacementGroupTableData,
            {"placement_group_id", "creator_job_id", "creator_actor_id", "state", "is_detached"},
        ),
        (gcs_service_pb2.KillActorViaGcsRequest, {"actor_id", "force_kill", "no_restart"}),
    ],
)
def test_message_has_the_fields(message: Any, fields: set[str]) -> None:
    assert fields - set(message.DESCRIPTOR.fields_by_name) == set()


@pytest.mark.parametrize(
    ("service", "method"), [("NodeInfoGcsService", "GetClusterId"), ("ActorInfoGcsService", "KillActorViaGcs")]
)
def test_service_has_the_method(service: str, method: str) -> None:
    assert method in gcs_service_pb2.DESCRIPTOR.services_by_name[service].methods_by_name


def test_actors_and_resource_of_ray_still_have_these_names() -> None:
    from ray._common import constants
    from ray.train.v2._internal.execution import context
    from ray.train.v2._internal.execution.controller import controller, placement_group_cleaner

    assert controller.TrainController.__name__ == ray_internals.CONTROLLER
    assert placement_group_cleaner.PlacementGroupCleaner.__name__ == ray_internals.CLEANER
    assert constants.HEAD_NODE_RESOURCE_NAME == ray_internals.HEAD_RESOURCE
    assert context.logger.name == context.__file__


def test_trainer_of_a_trial_has_no_actor_for_datasets() -> None:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    without, usual = (
        [type(each).__name__ for each in trainer(lambda: None)._create_default_callbacks()]
        for trainer in (ray_internals.data_parallel_trainer(), DataParallelTrainer)
    )

    assert "DatasetsCallback" in usual
    assert without == [name for name in usual if name != "DatasetsCallback"]


def test_every_private_module_that_is_imported_is_named_here() -> None:
    tree = ast.parse(Path(ray_internals.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    private = [node for node in imports if re.match(r"ray\.(_|core\.generated|train\.v2)", node.module or "")]
    imported = {f"{node.module}.{alias.name}" for node in private for alias in node.names}
    named = {f"{module}.{name}" for module in NAMES for name in NAMES[module]} | set(NAMES)

    assert len(imported) > 8
    assert {name for name in imported if not any(f"{other}.".startswith(f"{name}.") for other in named)} == set()


def test_name_that_ray_lacks_is_told() -> None:
    with pytest.raises(AttributeError, match="made_up"):
        test_name_is_there("ray._private.state", "made_up")
    with pytest.raises(ModuleNotFoundError, match=r"ray\._private\.made_up"):
        test_name_is_there("ray._private.made_up", "jobs")
