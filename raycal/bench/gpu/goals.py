"""Scales the goals for an H200 to other GPUs, in proportion to the bandwidth of their memory."""

import torch

# Memory bandwidth in TB/s, as published by NVIDIA.
BANDWIDTH = {"H200": 4.8, "H100": 3.35}


def on_this_gpu(of_an_h200: float) -> float:
    """The goal for this GPU in images per second, scaled from the goal for an H200; an unknown GPU gets the goal for an
    H200."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return of_an_h200 * share_of_h200(name)


def share_of_h200(gpu: str) -> float:
    """The memory bandwidth of a GPU divided by the memory bandwidth of an H200; 1 for a GPU that is not in
    `BANDWIDTH`."""
    return next((rate / BANDWIDTH["H200"] for kind, rate in BANDWIDTH.items() if kind in gpu), 1.0)
