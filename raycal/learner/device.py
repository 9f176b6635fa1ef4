"""The device and the number format that a machine trains with."""

import gc
import math
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torchvision

# Share of the trial's GPU memory reserved for images; the rest is for weights and activations.
IMAGES_SHARE = 0.5
# Compiling takes a minute, or about ten seconds if an earlier trial has compiled the same network. A compiled network
# makes each step some milliseconds faster.
STEPS_WORTH_COMPILING = 10_000


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """The device of the model and the number format of its convolutions; weights and sums stay float32.

    Attributes:
        gpu_share: The fraction of the GPU that this trial's worker may use.
        compiled: Whether the network is compiled.
    """

    device: torch.device
    dtype: torch.dtype
    gpu_share: float = 1.0
    compiled: bool = False

    @classmethod
    def choose(
        cls,
        dtype: str = "auto",
        *,
        threads: int | None = None,
        gpu_share: float = 1.0,
        compiled: bool | None = None,
        steps: int = 0,
    ) -> Self:
        """The GPU if there is one, otherwise the CPU.

        Args:
            dtype: `auto`, `float32` or `bfloat16`.
            threads: The number of CPU threads that torch uses. None means that torch chooses it.
            compiled: Whether the network is compiled. None means that it is compiled on a GPU if `steps` are enough to
                make up for the time of compiling.
            steps: The number of optimizer steps that the trial may take.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if dtype == "auto":
            dtype = "bfloat16" if _has_fast_bfloat16(device) else "float32"
        if compiled is None:
            compiled = device.type == "cuda" and steps >= STEPS_WORTH_COMPILING
        return cls(device, getattr(torch, dtype), gpu_share, compiled)

    def describe(self) -> dict[str, Any]:
        """Device, number format, threads and versions, for the record of a run."""
        return {
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "dtype": str(self.dtype).removeprefix("torch."),
            "compiled": self.compiled,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        }

    def hardware(self) -> str:
        """The properties of the hardware, besides those in `describe`, on which the last bits of a result depend."""
        if self.device.type == "cuda":
            return str(torch.cuda.get_device_capability())
        return f"{platform.processor()} {torch.backends.cpu.get_cpu_capability()} {sorted(_cpu_capabilities().items())}"

    def on_device(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        """A tensor on the device with the values of the array."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)

    def room_for_images(self) -> float:
        """The largest number of bytes of images that the device may hold. On a CPU there is no limit, because images
        are read where they are, without a copy.
        """
        if self.device.type == "cpu":
            return math.inf
        _, total = torch.cuda.mem_get_info(self.device)
        return total * self.gpu_share * IMAGES_SHARE

    def autocast(self) -> torch.autocast:
        """The context in which the forward pass runs."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not torch.float32)


@contextmanager
def one_thread(*, wanted: bool) -> Iterator[None]:
    """Let torch compute with one thread in the block, if the argument says so.

    The operations of a small network are too short to be shared: threads that wait for each other then take most of
    the time, above all on a machine that has other work.
    """
    with same_threads_afterwards():
        if wanted:
            torch.set_num_threads(1)
        yield


@contextmanager
def same_threads_afterwards() -> Iterator[None]:
    """Restore torch's number of threads after the block, for a process that continues afterwards."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def free_memory() -> None:
    """Free the memory that an experiment held, including compiled networks, for other trials on the same GPU.

    Raises:
        RuntimeError: An earlier error has made the GPU unusable for this process.
    """
    torch.compiler.reset()  # otherwise torch stops compiling after it has seen eight kinds of batches
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def kept_generators(device: torch.device) -> AbstractContextManager[None]:
    """A context that restores torch's random generators of the host and of the GPU."""
    kept: AbstractContextManager[None] = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    return kept


def _has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32; a CPU without the instructions runs it up to 9 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = _cpu_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _cpu_capabilities() -> dict[str, Any]:
    # get_capabilities() is public but newer than the oldest torch accepted here.
    return dict(getattr(torch.cpu, "get_capabilities", dict)())


def gpu_names() -> list[str]:
    """The CUDA GPUs that torch sees."""
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
