"""The data that the driver of a sweep passes to every trial and every worker.

The worker group and the worker both import this module, so that neither has to import the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raycal.capacity.allocate import Allocation
from raycal.plugins import Plugin
from raycal.storage.inputs import ExpectedInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContext:
    """The data that all worker groups of a sweep share.

    Attributes:
        folder: The sweep's folder, in the form that `Folder.at` takes.
        lease: The record in `owner.json` by which the workers may write in the sweep's folder.
        working_directory: The folder that relative paths in the experiments start from.
        allocation: The resources of each trial.
        clusterings: Handles of the clustering actors, by the node that each runs on.
        pools: Handle of the actor that holds the live pools.
        wait_for_scheduler: Whether a worker waits after every iteration until the scheduler lets the trial go on.
        expected: The data and weights that each experiment must read, by experiment id.
        plugins: The plug-ins that every worker imports before its first experiment.
    """

    folder: str
    lease: str
    working_directory: str
    allocation: Allocation
    clusterings: Mapping[str, Any]
    pools: Any
    wait_for_scheduler: bool
    expected: Mapping[str, ExpectedInputs] = field(default_factory=dict)
    plugins: Sequence[Plugin] = ()
