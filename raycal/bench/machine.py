"""Describes the machine that figures were measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torchvision", "numpy", "faiss", "ray", "scikit-learn", "pillow")
CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """The device, CPU, number of cores and versions of libraries."""
    import torch

    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def cpu_model() -> str:
    """The CPU's model name from the kernel."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(library: str) -> str | None:
    """The version of a library; None if it is not installed or cannot be loaded."""
    if library != "faiss":
        try:
            return version(library)
        except PackageNotFoundError:
            return None
    try:
        import faiss
    except (ImportError, OSError):  # A library that the module is linked with may be missing.
        return None
    return str(faiss.__version__)
