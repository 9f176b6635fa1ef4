"""Checks this machine: GPUs, Faiss, disks, shared memory, open files."""

import os
import resource
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil

from raycal.doctor.check_result import CheckResult, ok, problem, warning
from raycal.home import nearest_existing

GIB = 2**30
FULL_BYTES, LITTLE_BYTES = GIB, 10 * GIB
SHARED_MEMORY = Path("/dev/shm")
# Ray's object store takes this share of the memory; it is placed in shared memory if that has enough room.
OBJECT_STORE_SHARE = 0.3
FIX_FAISS_BUILD = "pip uninstall faiss-cpu, then pip install --force-reinstall faiss-gpu (Linux on x86_64 only)"
FIX_FAISS_DRIVER = "compare the driver and its CUDA version (nvidia-smi) with what this Faiss is built for"
# Ray opens some files for every worker and for every connection between workers.
MIN_OPEN_FILES, OPEN_FILES = 1024, 65536


def check_torch(gpus: int, seen: Sequence[str]) -> CheckResult:
    """Check whether torch sees the GPUs of this machine.

    Args:
        gpus: The number of GPUs that the driver shows.
        seen: The names of the GPUs that torch shows.
    """
    if gpus and not seen:
        fix = "install the CUDA build of torch, and a driver that is new enough for it (nvidia-smi shows it)"
        return problem("gpu (torch)", f"none seen, but the machine has {gpus}", fix)
    if len(seen) < gpus:
        return warning("gpu (torch)", f"{len(seen)} seen of {gpus}", "look at CUDA_VISIBLE_DEVICES")
    return ok("gpu (torch)", ", ".join(seen) or "none here; trials run on the CPU")


def check_compiler(gpus: int) -> Iterator[CheckResult]:
    """Check whether Triton, with which torch compiles networks for a GPU, finds the C compiler and headers it needs."""
    if not gpus:
        return
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    has_headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    if compiler and has_headers:
        yield ok("compiler", compiler)
        return
    lacking = "no headers of Python" if compiler else "no C compiler"
    fix = "install gcc and the headers of Python (gcc and python3-dev on Debian)"
    yield warning("compiler", f"{lacking}: networks are not compiled, and train more slowly on a GPU", fix)


def check_faiss(gpus: int) -> Iterator[CheckResult]:
    """Check whether Faiss, which computes the clusters, works: with a tiny search on the CPU, and another one on a GPU.

    Args:
        gpus: The number of GPUs that the driver shows.
    """
    import faiss

    from raycal.kmeans.gpu import faiss_problem, is_gpu_build

    points = np.eye(4, dtype=np.float32)
    index = faiss.IndexFlatL2(4)
    index.add(points)
    nearest = index.search(points, 1)[1][:, 0].tolist()
    gpu_problem = faiss_problem() if gpus else ""
    # Faiss may end a process that asks it for GPUs on a machine where CUDA is broken, so `faiss_problem` asks in
    # another process.
    seen = faiss.get_num_gpus() if gpus and not gpu_problem else 0
    version = f"{faiss.__version__} ({'GPU' if is_gpu_build() else 'CPU'} build)"
    yield judge_faiss(version, nearest, gpus, seen, gpu_problem)
    if gpus:
        yield ok("gpu (raycal)", "raycal has never run on a GPU yet; python -m raycal.bench --gpu measures it")


def judge_faiss(version: str, nearest: Sequence[int], gpus: int, seen: int, gpu_problem: str) -> CheckResult:
    """Judge whether Faiss works, and whether it can use the GPUs.

    Args:
        version: The version and the build of Faiss.
        nearest: The nearest neighbors found for four points, each of which should find itself.
        gpus: The number of GPUs that the driver shows.
        seen: The number of these GPUs that Faiss sees.
        gpu_problem: The reason why Faiss cannot use the GPUs; empty if it can.
    """
    if list(nearest) != [0, 1, 2, 3]:
        return problem("faiss", f"{version}: a search gives wrong neighbors", "install faiss again")
    if gpu_problem:
        found = f"{version} cannot use the GPU and clusters on the CPU: {gpu_problem}"
        fix = FIX_FAISS_BUILD if "built without" in gpu_problem else FIX_FAISS_DRIVER
        return warning("faiss", found, f"{fix}, or set clustering: torch_kmeans")
    sees = f"sees {seen} of {gpus} GPUs and clusters on the first" if gpus else "sees no GPU and clusters on the CPU"
    return ok("faiss", f"{version} {sees}")


def check_disk(check: str, place: Path) -> CheckResult:
    """Check whether there is enough room on the disk where a folder is or would be created."""
    nearest = next(above for above in (place, *place.parents) if above.is_dir())
    return judge_disk(check, place, shutil.disk_usage(nearest).free)


def judge_disk(check: str, place: Path, free: float) -> CheckResult:
    """Judge the free bytes of a disk."""
    found = f"{free / GIB:.1f} GiB free at {place}"
    fix = "set RAYCAL_CACHE to a larger disk" if check == "cache" else "give another --storage, or free some space"
    if free < FULL_BYTES:
        return problem(check, found, fix)
    return warning(check, found, fix) if free < LITTLE_BYTES else ok(check, found)


def check_shared_memory() -> CheckResult:
    """Check whether shared memory has enough room for Ray's object store."""
    if not SHARED_MEMORY.is_dir():
        return ok("shm", f"no {SHARED_MEMORY} on this system")
    return judge_shared_memory(shutil.disk_usage(SHARED_MEMORY).free, psutil.virtual_memory().available)


def judge_shared_memory(free: float, memory: float) -> CheckResult:
    """Compare `free`, the free bytes of shared memory, with the bytes that Ray's object store would take. The store
    takes a fixed share of `memory`, the free bytes of main memory."""
    wanted = memory * OBJECT_STORE_SHARE
    found = f"{free / GIB:.1f} GiB free in {SHARED_MEMORY}, Ray's object store would take {wanted / GIB:.1f}"
    if free < wanted:
        return warning("shm", f"{found}, and goes to the disk", f"docker run --shm-size={-(-int(wanted) // GIB)}g")
    return ok("shm", found)


def check_open_files() -> CheckResult:
    """Check whether processes may open enough files."""
    return judge_open_files(*resource.getrlimit(resource.RLIMIT_NOFILE))


def judge_open_files(soft: int, hard: int) -> CheckResult:
    """Judge the limits on open files; Ray raises the soft limit to the hard limit if it can."""
    most = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    found = f"{soft} open files per process" if soft in most else "any number of open files"
    if most and max(most) < MIN_OPEN_FILES:
        return problem("ulimit", found, f"ulimit -n {OPEN_FILES}")
    if soft in most and soft < OPEN_FILES // 16:
        return warning("ulimit", found, f"ulimit -n {min([OPEN_FILES, *most[1:]])}")
    return ok("ulimit", found)


def check_writable(place: Path) -> CheckResult:
    """Check whether a local storage folder can be written; the check leaves no file and creates no folder."""
    nearest = nearest_existing(place)
    if not nearest.is_dir():
        return problem("storage", f"{nearest} is not a folder", "give another --storage")
    trial = nearest / f".raycal-doctor-{os.getpid()}"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        return problem("storage", f"{nearest}: {error.strerror or error}", "give another --storage")
    return ok("storage", f"{place} can be written from here")
