"""The states of an experiment: each from which it can go on, whole or not there at all."""

import hashlib
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np

from raycal.algorithm.records import IterationResult, LoopState, PoolSnapshot
from raycal.files import Folder

STATES_KEPT = 2
POOL, MODEL, MANIFEST = ".pool.npz", ".model.pt", ".json"
_ITERATION = re.compile(r"iteration-\d{3,9}\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class SavedState:
    """Where an experiment goes on.

    Attributes:
        model: As the learner saved it.
        results: Every line of results.jsonl up to this state.
    """

    loop: LoopState
    model: bytes
    results: list[dict[str, Any]]


class StateDir:
    """The folder `state/` of a run: per state a pool, a model and, written last, a manifest with the digests of all.

    A state whose manifest or files are torn or changed does not exist; the one before it does.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def save(self, result: IterationResult, model: bytes, results: list[dict[str, Any]]) -> None:
        """Save an iteration with the results up to it, and remove all but the newest two states."""
        stem = iteration_name(result.iteration)
        pool = io.BytesIO()
        np.savez_compressed(pool, status=result.pool.status, labels=result.pool.labels)
        files = {stem + POOL: pool.getvalue(), stem + MODEL: model}
        for name, content in files.items():
            self._folder.write(name, content)
        manifest = {
            "iteration": result.iteration,
            "interactions": result.interactions,
            "human_seconds": result.human_seconds,
            "results": results,
            "files": {name: _digest(content) for name, content in files.items()},
        }
        text = json.dumps(manifest)
        self._folder.write(stem + MANIFEST, f"{_digest(text.encode())}\n{text}\n".encode())
        self.prune(STATES_KEPT)

    def newest(self) -> SavedState | None:
        """The newest whole state."""
        for name in reversed(by_iteration(self._folder.names(f"iteration-*{MANIFEST}"))):
            state = self._load(name)
            if state is not None:
                return state
        return None

    def prune(self, keep: int) -> None:
        """Remove all but the newest states and what is left of others, manifests first."""
        manifests = by_iteration(self._folder.names(f"iteration-*{MANIFEST}"))
        kept = {name.removesuffix(MANIFEST) for name in manifests[len(manifests) - keep :]} if keep else set()
        names = sorted(self._folder.names("iteration-*"), key=lambda name: not name.endswith(MANIFEST))
        for name in names:
            if _ITERATION.match(name) and name.partition(".")[0] not in kept:
                self._folder.remove(name)

    def _load(self, name: str) -> SavedState | None:
        try:
            return self._read(name)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, BadZipFile):
            return None  # whole, but not what `save` writes

    def _read(self, name: str) -> SavedState | None:
        digest, _, text = (self._folder.read(name) or b"").partition(b"\n")
        if _digest(text.removesuffix(b"\n")).encode() != digest:
            return None
        manifest = json.loads(text)
        files = [self._folder.read(file) for file in manifest["files"]]
        whole = [content for content in files if content is not None]
        if [_digest(content) for content in whole] != list(manifest["files"].values()):
            return None
        pool, model = whole
        with np.load(io.BytesIO(pool), allow_pickle=False) as arrays:
            snapshot = PoolSnapshot(status=arrays["status"], labels=arrays["labels"])
        loop = LoopState(
            iteration=manifest["iteration"],
            interactions=manifest["interactions"],
            human_seconds=manifest["human_seconds"],
            pool=snapshot,
        )
        return SavedState(loop, model, manifest["results"])


def iteration_name(iteration: int) -> str:
    """The stem of an iteration's files."""
    return f"iteration-{iteration:03d}"


def iteration_of(name: str) -> int:
    """The iteration of a file named by `iteration_name`."""
    return int(name.partition(".")[0].removeprefix("iteration-"))


def by_iteration(names: Iterable[str]) -> list[str]:
    """Names of iterations' files in their order, which is not that of the text from 1,000 on; others are left out."""
    return sorted(filter(_ITERATION.match, names), key=iteration_of)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
