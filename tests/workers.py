"""Runs a function on the workers of one trial, which are processes joined by gloo."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from raycal.learner.team import Team, join

# The workers are forked from a process that has imported these modules, because importing them takes seconds.
multiprocessing.set_forkserver_preload(["raycal.experiment.run", "raycal.learner.learner", "sklearn.datasets"])


def on_workers(folder: Path, function: Callable[..., Any], *args: Any, size: int = 2) -> list[Any]:
    """The value that `function(team, *args)` returned, or the exception it raised, by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = (size, folder, function, args)
    multiprocessing.start_processes(_worker, arguments, nprocs=size, start_method="forkserver")
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(size)]


def _worker(rank: int, size: int, folder: Path, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    join("gloo", f"file://{folder / 'meet'}", rank, size)
    outcome: Any
    try:
        outcome = function(Team.of_process_group(), *args)
    except Exception as error:
        outcome = error
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(outcome))
    # The process ends without a message, because the other workers must notice the end by themselves. An ordinary exit
    # would sometimes abort, because gloo's threads may still hold tensors when the interpreter ends:
    # https://github.com/pytorch/pytorch/pull/179291
    os._exit(0)
