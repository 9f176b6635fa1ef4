"""Goals of an H200, on other GPUs in proportion to the bandwidth of their memory."""

import torch

# TB/s, as NVIDIA gives them.
BANDWIDTH = {"H200": 4.8, "H100": 3.35}


def on_this_gpu(of_an_h200: float) -> float:
    """Images per second that this GPU should reach where an H200 should reach so many; of an unknown GPU as many."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return of_an_h200 * share_of_h200(name)


def share_of_h200(gpu: str) -> float:
    """The bandwidth of a GPU over that of an H200; 1 for a GPU that is not in the list."""
    return next((rate / BANDWIDTH["H200"] for kind, rate in BANDWIDTH.items() if kind in gpu), 1.0)
