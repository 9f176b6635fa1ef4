import resource
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import faiss
import pytest
from packaging.requirements import Requirement

from raycal.distributed.survey import NodeReport, Survey
from raycal.doctor.check_result import CheckResult, ok, within
from raycal.doctor.cluster import judge_cluster
from raycal.doctor.machine import (
    GIB,
    check_compiler,
    check_faiss,
    check_torch,
    check_writable,
    judge_disk,
    judge_faiss,
    judge_open_files,
    judge_shared_memory,
)
from raycal.doctor.versions import check_packages, check_python, required
from raycal.errors import InputError
from raycal.kmeans.gpu import is_gpu_build

ENDLESS = resource.RLIM_INFINITY


def words(finding: CheckResult) -> str:
    """The line of a finding, with every run of blanks replaced by one blank."""
    return " ".join(str(finding).split())


def test_line_has_columns_and_no_line_break() -> None:
    assert str(CheckResult("disk", ok("", "").status, "a\nb", "do")) == "ok       disk         a\\nb; do"


class TestWithin:
    def test_probe_that_hangs_is_a_problem_in_time(self) -> None:
        release = Event()

        def hang() -> Iterator[CheckResult]:
            yield ok("ray", "begun")
            release.wait()

        try:
            assert [words(finding) for finding in within("ray", 0.05, hang)] == [
                "ok ray begun",
                "problem ray no answer within 0.05 s; timed out: check that its target is reachable",
            ]
        finally:
            release.set()

    def test_error_is_a_line_without_a_traceback(self) -> None:
        def fail() -> Iterator[CheckResult]:
            raise ValueError("a\nb")

        assert [words(finding) for finding in within("ray", 5, fail)] == ["problem ray ValueError: a b"]

    def test_every_mistake_is_a_line(self) -> None:
        def refuse() -> Iterator[CheckResult]:
            raise InputError("one", "two")

        assert [words(finding) for finding in within("sweep", 5, refuse)] == ["problem sweep one", "problem sweep two"]


class TestVersions:
    def test_packages_against_their_floors(self) -> None:
        have = {"ray": "2.59.0", "torch": "2.15.0+cu130", "mlflow": "3.17.2", "pyyaml": "7"}
        needed = map(Requirement, ["ray[tune]==2.60.0", "torch>=2.11", "mlflow>=3.17.2,<4", "pyyaml>=6", "scipy>=1"])

        assert [words(finding) for finding in check_packages(needed, have.get)] == [
            "problem ray 2.59.0, should be ==2.60.0; pip install 'ray[tune]==2.60.0'",
            "ok torch 2.15.0+cu130",
            "ok mlflow 3.17.2",
            "problem scipy is not installed; pip install 'scipy>=1'",
        ]

    def test_python(self) -> None:
        assert words(check_python((3, 10))) == "problem python 3.10; raycal needs 3.11 or later"
        assert check_python((3, 12)).status == "ok"

    def test_floors_are_those_of_the_project(self) -> None:
        floors = {requirement.name: str(requirement.specifier) for requirement in required()}

        assert floors["ray"] == "==2.60.0"
        assert {"torch", "torchvision", "mlflow", "pillow"} <= floors.keys()
        assert len({"faiss-gpu", "faiss-cpu"} & floors.keys()) == 1


class TestMachine:
    @pytest.mark.parametrize(
        ("gpus", "seen", "line"),
        [
            (0, [], "ok gpu (torch) none here; trials run on the CPU"),
            (2, ["H100", "H100"], "ok gpu (torch) H100, H100"),
            (2, ["H100"], "warning gpu (torch) 1 seen of 2; look at CUDA_VISIBLE_DEVICES"),
            (1, [], "problem gpu (torch) none seen, but the machine has 1; install the CUDA build of torch, and a"),
        ],
    )
    def test_torch(self, gpus: int, seen: list[str], line: str) -> None:
        assert words(check_torch(gpus, seen)).startswith(line)

    @pytest.mark.parametrize(
        ("tools", "headers", "line"),
        [
            (["gcc", "clang"], True, "ok compiler {path}/gcc"),
            (["clang"], True, "ok compiler {path}/clang"),
            (
                [],
                True,
                "warning compiler no C compiler: networks are not compiled, and train more slowly on a GPU; ",
            ),
            (["gcc"], False, "warning compiler no headers of Python: networks are not compiled, and train more slowly"),
        ],
    )
    def test_compiler_for_networks(
        self, tools: list[str], headers: bool, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for tool in tools:
            (tmp_path / tool).write_text("")
            (tmp_path / tool).chmod(0o755)
        if headers:
            (tmp_path / "Python.h").write_text("")
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
        (finding,) = check_compiler(1)

        assert words(finding).startswith(line.format(path=tmp_path))
        assert list(check_compiler(0)) == []

    @pytest.mark.parametrize(
        ("nearest", "gpus", "seen", "gpu_problem", "line"),
        [
            ([0, 1, 3, 2], 1, 1, "", "problem faiss 1.15.1: a search gives wrong neighbors; install faiss again"),
            ([0, 1, 2, 3], 0, 0, "", "ok faiss 1.15.1 sees no GPU and clusters on the CPU"),
            ([0, 1, 2, 3], 2, 2, "", "ok faiss 1.15.1 sees 2 of 2 GPUs and clusters on the first"),
            (
                [0, 1, 2, 3],
                1,
                0,
                "it is built without GPU support",
                "warning faiss 1.15.1 cannot use the GPU and clusters on the CPU: it is built without GPU support; "
                "pip uninstall faiss-cpu, then pip install --force-reinstall faiss-gpu (Linux on x86_64 only), or set "
                "clustering: torch_kmeans",
            ),
            (
                [0, 1, 2, 3],
                1,
                0,
                "it sees no GPU",
                "warning faiss 1.15.1 cannot use the GPU and clusters on the CPU: it sees no GPU; compare the driver "
                "and its CUDA version (nvidia-smi) with what this Faiss is built for, or set clustering: torch_kmeans",
            ),
        ],
    )
    def test_faiss(self, nearest: list[int], gpus: int, seen: int, gpu_problem: str, line: str) -> None:
        assert words(judge_faiss("1.15.1", nearest, gpus, seen, gpu_problem)) == line

    @pytest.mark.skipif(not is_gpu_build(), reason="needs faiss-gpu")
    def test_faiss_here_works_on_the_cpu_and_sees_no_gpu(self) -> None:
        (on_cpu,) = check_faiss(0)
        beside_gpu, never_run = check_faiss(1)

        assert words(on_cpu) == f"ok faiss {faiss.__version__} (GPU build) sees no GPU and clusters on the CPU"
        assert words(beside_gpu).startswith(f"warning faiss {faiss.__version__} (GPU build) cannot use the GPU")
        assert words(never_run).startswith("ok gpu (raycal) raycal has never run on a GPU yet")

    @pytest.mark.parametrize(("free", "status"), [(0.5, "problem"), (5, "warning"), (50, "ok")])
    def test_disk(self, free: float, status: str) -> None:
        finding = judge_disk("cache", Path("/x"), free * GIB)

        assert (finding.status, finding.found) == (status, f"{free:.1f} GiB free at /x")
        assert finding.fix == ("" if status == "ok" else "set RAYCAL_CACHE to a larger disk")

    def test_shared_memory_of_a_container(self) -> None:
        assert words(judge_shared_memory(GIB / 16, 10 * GIB)) == (
            "warning shm 0.1 GiB free in /dev/shm, Ray's object store would take 3.0, and goes to the disk;"
            " docker run --shm-size=3g"
        )
        assert judge_shared_memory(5 * GIB, 10 * GIB).status == "ok"

    @pytest.mark.parametrize(
        ("soft", "hard", "line"),
        [
            (1024, 1_048_576, "warning ulimit 1024 open files per process; ulimit -n 65536"),
            (1024, 2048, "warning ulimit 1024 open files per process; ulimit -n 2048"),
            (256, 256, "problem ulimit 256 open files per process; ulimit -n 65536"),
            (65_536, ENDLESS, "ok ulimit 65536 open files per process"),
            (ENDLESS, ENDLESS, "ok ulimit any number of open files"),
        ],
    )
    def test_open_files(self, soft: int, hard: int, line: str) -> None:
        assert words(judge_open_files(soft, hard)) == line

    def test_storage_is_left_as_it_was(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        assert words(check_writable(tmp_path / "a" / "b")) == f"ok storage {tmp_path}/a/b can be written from here"
        assert words(check_writable(tmp_path / "file" / "b")) == (
            f"problem storage {tmp_path}/file is not a folder; give another --storage"
        )
        assert check_writable(Path("/proc/runs")).status == "problem"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestCluster:
    def lines(self, *nodes: NodeReport, gpus: int = 0, tracking: str | None = None) -> list[str]:
        survey = Survey(ray="2.60.0", nodes=nodes)
        return [words(finding) for finding in judge_cluster("10.0.0.1:6379", survey, "/nfs/runs", gpus, tracking)]

    def test_all_is_well(self) -> None:
        nodes = [NodeReport(name=f"10.0.0.{i}", gpus=4, raycal="0.1.0", clock_seconds=0.1) for i in (1, 2)]

        assert self.lines(*nodes, gpus=4) == [
            "ok ray cluster 10.0.0.1:6379, Ray 2.60.0 like here, 2 nodes",
            "ok gpu (ray) 8 on all nodes",
            "ok storage /nfs/runs can be written from 2 nodes",
        ]

    def test_tracking_server_matters_to_the_node_that_jobs_run_on(self) -> None:
        head = NodeReport(name="10.0.0.1", gpus=0, is_head=True, raycal="0.1.0", no_tracking="timed out")
        other = NodeReport(name="10.0.0.2", gpus=0, raycal="0.1.0", no_tracking="refused")
        well = NodeReport(name="10.0.0.3", gpus=0, raycal="0.1.0")

        assert self.lines(head, other, well, tracking="http://h:5000")[3:] == [
            "problem tracking http://h:5000 does not answer node 10.0.0.1 (timed out);"
            " sweeps submitted as jobs run there: give an address that this node can reach",
            "warning tracking http://h:5000 does not answer node 10.0.0.2 (refused);"
            " start no sweep on that node; trials that run there need no connection",
        ]
        assert self.lines(well, tracking="http://h:5000")[3:] == ["ok tracking http://h:5000 answers 1 node"]

    def test_each_node_that_is_not_well_is_named(self) -> None:
        lines = self.lines(
            NodeReport(name="10.0.0.1", gpus=0, raycal="0.0.9", clock_seconds=-60),
            NodeReport(name="10.0.0.2", gpus=0, raycal="0.1.0", error="cannot write there: denied"),
            NodeReport(name="10.0.0.3", gpus=0, error="raycal is not installed there"),
            gpus=1,
        )

        assert lines[1:] == [
            "warning gpu (ray) Ray knows none, but this machine has 1; ray start --num-gpus",
            "problem storage /nfs/runs: node 10.0.0.2 cannot write there: denied;"
            " give a --storage that every node can access: a shared folder or a URI",
            "problem node node 10.0.0.3: raycal is not installed there; set up that node",
            "problem raycal 0.0.9 on node 10.0.0.1, 0.1.0 here; install the same",
            "warning clock node 10.0.0.1 is -60 s off; run NTP on every node",
        ]
