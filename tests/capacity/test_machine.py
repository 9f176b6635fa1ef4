import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from raycal.capacity import machine as module
from raycal.capacity.machine import SHARE_OF_MEMORY, this_machine

FREE = 10_000


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 cores and 10,000 free bytes, without limits or GPUs; the tests create its files."""
    monkeypatch.setattr(module, "PROC", tmp_path / "proc")
    monkeypatch.setattr(module, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_machine_without_limits_has_all_it_has() -> None:
    node = this_machine()

    assert (node.cpus, node.gpus, node.memory_bytes) == (8, 0, pytest.approx(FREE * SHARE_OF_MEMORY))


def test_only_cores_this_process_may_use_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 6})
    assert this_machine().cpus == 3


def test_system_without_affinity_counts_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert this_machine().cpus == 6


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("2,0", 2), ("", 0), ("-1", 0), ("0,-1,1", 1), ("GPU-8932f937, 1", 2), ("0,1,2,3,4", 3), ("NoDevFiles", 0)],
)
def test_gpus_that_are_hidden_are_not_counted(
    machine: Path, monkeypatch: pytest.MonkeyPatch, visible: str, gpus: int
) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
        (machine / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert this_machine().gpus == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert this_machine().gpus == gpus


class TestControlGroupsOfVersion2:
    @pytest.fixture(autouse=True)
    def group(self, machine: Path) -> Path:
        write(machine / "proc/self", cgroup="0::/system.slice/job\n")
        group = machine / "cgroup/system.slice/job"
        write(group, cpu__max="max 100000\n", memory__max="max\n")
        return group

    def test_no_limit(self) -> None:
        assert (this_machine().cpus, this_machine().memory_bytes) == (8, pytest.approx(FREE * 0.7))

    @pytest.mark.parametrize(
        ("quota", "cpus"), [("250000 100000", 2), ("50000 100000", 1), ("300000 50000", 6), ("1600000 100000", 8)]
    )
    def test_quota_in_whole_cores(self, group: Path, quota: str, cpus: int) -> None:
        write(group, cpu__max=quota)
        assert this_machine().cpus == cpus

    def test_memory_that_is_left_but_for_idle_cache(self, group: Path) -> None:
        write(group, memory__max="5000", memory__current="3000", memory__stat="anon 1\ninactive_file 1000\n")
        assert this_machine().memory_bytes == pytest.approx(3000 * 0.7)

    def test_memory_used_above_the_limit_leaves_none(self, group: Path) -> None:
        write(group, memory__max="5000", memory__current="5500", memory__stat="anon 1\n")
        assert this_machine().memory_bytes == 0

    def test_limits_of_the_groups_around_count(self, group: Path) -> None:
        write(group, cpu__max="700000 100000")
        write(group.parent, cpu__max="400000 100000")
        assert this_machine().cpus == 4

    def test_group_mounted_as_the_outermost(self, machine: Path, group: Path) -> None:
        write(machine / "proc/self", cgroup="0::/docker/0123abcd\n")
        write(machine / "cgroup", cpu__max="300000 100000")
        assert this_machine().cpus == 3


class TestControlGroupsOfVersion1:
    @pytest.fixture(autouse=True)
    def groups(self, machine: Path) -> Path:
        write(machine / "proc/self", cgroup="4:memory:/job\n3:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n")
        return machine / "cgroup"

    def test_no_limit(self, groups: Path) -> None:
        write(groups / "cpu,cpuacct/job", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
        write(
            groups / "memory/job",
            memory__limit_in_bytes=f"{2**63 - 4096}\n",
            memory__usage_in_bytes="9\n",
            memory__stat="total_inactive_file 3\n",
        )
        assert (this_machine().cpus, this_machine().memory_bytes) == (8, pytest.approx(FREE * 0.7))

    def test_limits(self, groups: Path) -> None:
        write(groups / "cpu,cpuacct/job", cpu__cfs_quota_us="350000\n", cpu__cfs_period_us="100000\n")
        write(
            groups / "memory/job",
            memory__limit_in_bytes="6000\n",
            memory__usage_in_bytes="2500\n",
            memory__stat="cache 7\ntotal_inactive_file 500\n",
        )
        assert (this_machine().cpus, this_machine().memory_bytes) == (3, pytest.approx(4000 * 0.7))
