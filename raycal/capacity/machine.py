"""The resources of this machine that this process may use, as Ray would count them."""

import os
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import psutil

from raycal.capacity.allocate import Node

# Ray sets the rest of the free memory aside for its object store.
SHARE_OF_MEMORY = 0.7
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def this_machine() -> Node:
    """The cores, GPUs and memory of this machine, or of the container in which this process runs."""
    return Node(cpus=_cpus(), gpus=_gpus(), memory_bytes=_free_bytes() * SHARE_OF_MEMORY)


def _cpus() -> int:
    """The number of cores that this process may use, limited by its control groups; at least 1.

    `joblib.cpu_count()` is not used for two reasons. Joblib 1.6 reads only the outermost control group, and so misses
    the limit of a batch job or of a systemd service, which have groups below it. It also rounds a quota of 2.5 cores up
    to 3.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([cores, *(quota for group in _control_groups() for quota in _cpu_quota(group))])))


def _gpus() -> int:
    """The number of NVIDIA GPUs that CUDA would show to this process.

    If an entry of `CUDA_VISIBLE_DEVICES` names no GPU, CUDA ignores it and all entries after it.
    """
    gpus = len(list((PROC / "driver/nvidia/gpus").glob("*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return gpus
    names = (name.strip() for name in visible.split(","))
    return min(gpus, len(list(takewhile(lambda name: name.isdigit() or name.startswith(("GPU-", "MIG-")), names))))


def _free_bytes() -> int:
    """The free bytes of memory, limited by what the control groups leave."""
    free = psutil.virtual_memory().available
    return max(0, min([free, *(left for group in _control_groups() for left in _memory_left(group))]))


def _control_groups() -> Iterator[Path]:
    """The folders of this process's control groups of both versions, each followed by its parent groups.

    In a container a control group may be mounted as the root, so some of its parent folders do not exist; these are
    left out.
    """
    listed = PROC / "self/cgroup"
    for line in listed.read_text().splitlines() if listed.is_file() else ():
        _, controllers, name = line.split(":", 2)
        root = CGROUPS / controllers
        group = root / name.strip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root) and folder.is_dir())


def _cpu_quota(group: Path) -> Iterator[float]:
    """The number of cores that a control group may use, if it is limited; files of control groups of version 2 are read
    before files of version 1."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        if all((group / file).is_file() for file in files):
            quota, period = " ".join((group / file).read_text() for file in files).split()
            if quota.isdigit():
                yield int(quota) / int(period)


def _memory_left(group: Path) -> Iterator[int]:
    """The bytes that a control group may still use; its idle file cache does not count as used. Files of control groups
    of version 2 are read before files of version 1."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if (group / limit).is_file() and (most := (group / limit).read_text().strip()).isdigit():
            counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield int(most) - int((group / usage).read_text()) + int(counts.get(cache, 0))
