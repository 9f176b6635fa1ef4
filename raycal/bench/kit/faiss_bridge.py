"""Makes a Faiss that was built for CUDA 12 work with the CUDA 13 that torch brings, by means of `cublas_bridge.c`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from raycal.installed import is_installed

HERE = Path(__file__).parent
CUBLAS_13, CUBLAS_12, CUBLAS_LT_12, CUDART_12 = (
    "libcublas.so.13",
    "libcublas.so.12",
    "libcublasLt.so.12",
    "libcudart.so.12",
)
PROBE = "import faiss; print(faiss.__version__, 'sees', faiss.get_num_gpus(), 'GPUs')"
PROBE_SECONDS = 60.0


def faiss_environment(folder: Path, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The environment for processes that use Faiss, and a line that says whether Faiss can be loaded in it.

    Args:
        folder: The folder in which the bridge is built, if one is needed.
    """
    as_it_is, said = _probe(environment)
    if as_it_is:
        return dict(environment), f"Faiss {said}"
    if not is_installed("faiss"):
        return dict(environment), "Faiss is not installed"
    try:
        build_bridge(folder, _library(CUBLAS_13))
    except (OSError, subprocess.SubprocessError) as error:
        return dict(
            environment
        ), f"Faiss cannot be loaded: {said}; and the bridge to cuBLAS 13 cannot be built: {error}"
    bridged = with_bridge(folder, environment)
    works, said = _probe(bridged)
    if works:
        return bridged, f"Faiss {said}, through a bridge from cuBLAS 12 to 13"
    return dict(environment), f"Faiss cannot be loaded: {said}"


def build_bridge(folder: Path, cublas_13: str) -> None:
    """Build the libraries that replace the libraries of cuBLAS 12.

    Args:
        folder: The folder for the libraries.
        cublas_13: The path or the name of the library of cuBLAS 13.

    Raises:
        OSError: There is no C compiler.
        subprocess.SubprocessError: The compiler failed.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler")
    shared = [compiler, "-shared", "-fPIC", "-O1"]
    empty = folder / "empty.c"
    empty.write_text("")
    for command in (
        [
            *shared,
            f'-DCUBLAS_13="{cublas_13}"',
            f"-Wl,-soname,{CUBLAS_12}",
            f"-Wl,--version-script={HERE / 'cublas_bridge.map'}",
            *("-o", str(folder / CUBLAS_12), str(HERE / "cublas_bridge.c"), "-ldl"),
        ],
        [*shared, f"-Wl,-soname,{CUBLAS_LT_12}", "-o", str(folder / CUBLAS_LT_12), str(empty)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=PROBE_SECONDS)


def with_bridge(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with this folder, and the folder of the CUDA 12 runtime, on the library search path."""
    places = [str(folder), str(Path(_library(CUDART_12)).parent), environment.get("LD_LIBRARY_PATH", "")]
    return {
        **environment,
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, places)),
        # Without this variable, the package of Faiss would look for a package of cuBLAS 12.
        "_FAISS_WHEEL_DISABLE_CUDA_PRELOAD": "1",
    }


def _probe(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Whether Faiss can be loaded, and its version and number of GPUs, or the error."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"it did not load within {PROBE_SECONDS:.0f} s"
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or [f"code {done.returncode}"]
    return done.returncode == 0, said[-1]


def _library(name: str) -> str:
    """The path of a CUDA library in an installed Python package; the library's name if no package has the library.

    Every folder of packages is searched, because `nvidia` may be a package in one and part of a namespace package in
    another.
    """
    places = (Path(entry or ".") / package for entry in sys.path for package in ("nvidia", "torch/lib"))
    return next((str(path) for place in places for path in sorted(place.glob(f"**/{name}"))), name)
