"""The states of an experiment: each from which it can go on, whole or not there at all."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np

from raycal.algorithm.records import IterationResult, LoopState, PoolSnapshot
from raycal.digest import digest_of
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
        ledger: The digests of the parts of the ledger up to it, by name; of those that earlier versions wrote none.
    """

    loop: LoopState
    model: bytes
    results: list[dict[str, Any]]
    ledger: dict[str, str]


class StateDir:
    """The folder `state/` of a run: per state a pool, a model and, written last, a manifest with the digests of all.

    A state whose manifest or files are torn or changed does not exist; the one before it does.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def save(
        self, result: IterationResult, model: bytes, results: list[dict[str, Any]], ledger: Mapping[str, str]
    ) -> None:
        """Save an iteration, with results and digests of the ledger up to it; remove all but the newest two states."""
        stem = iteration_name(result.iteration)
        pool = io.BytesIO()
        status, purity = result.pool.status, result.pool.purity
        purity = np.ones(len(status), np.float32) if purity is None else purity
        np.savez_compressed(pool, status=status, labels=result.pool.labels, purity=purity)
        files = {stem + POOL: pool.getvalue(), stem + MODEL: model}
        for name, content in files.items():
            self._folder.write(name, content)
        manifest = {
            "iteration": result.iteration,
            "interactions": result.interactions,
            "human_seconds": result.human_seconds,
            "results": results,
            "ledger": dict(ledger),
            "files": {name: digest_of(content) for name, content in files.items()},
        }
        text = json.dumps(manifest)
        self._folder.write(stem + MANIFEST, f"{digest_of(text.encode())}\n{text}\n".encode())
        self.prune(STATES_KEPT)

    def whole(self) -> Iterator[SavedState]:
        """The whole states, the newest first."""
        for name in reversed(by_iteration(self._folder.names(f"iteration-*{MANIFEST}"))):
            state = self._load(name)
            if state is not None:
                yield state

    def drop_after(self, iteration: int) -> None:
        """Remove the states of later iterations, manifests first."""
        self._remove(name for name in by_iteration(self._folder.names("iteration-*")) if iteration_of(name) > iteration)

    def prune(self, keep: int) -> None:
        """Remove all but the newest states and what is left of others, manifests first."""
        manifests = by_iteration(self._folder.names(f"iteration-*{MANIFEST}"))
        kept = {name.removesuffix(MANIFEST) for name in manifests[len(manifests) - keep :]} if keep else set()
        names = filter(_ITERATION.match, self._folder.names("iteration-*"))
        self._remove(name for name in names if name.partition(".")[0] not in kept)

    def _remove(self, names: Iterable[str]) -> None:
        for name in sorted(names, key=lambda name: not name.endswith(MANIFEST)):
            self._folder.remove(name)

    def _load(self, name: str) -> SavedState | None:
        try:
            return self._read(name)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, BadZipFile):
            return None  # whole, but not what `save` writes

    def _read(self, name: str) -> SavedState | None:
        digest, _, text = (self._folder.read(name) or b"").partition(b"\n")
        if digest_of(text.removesuffix(b"\n")).encode() != digest:
            return None
        manifest = json.loads(text)
        files = [self._folder.read(file) for file in manifest["files"]]
        whole = [content for content in files if content is not None]
        if [digest_of(content) for content in whole] != list(manifest["files"].values()):
            return None
        pool, model = whole
        with np.load(io.BytesIO(pool), allow_pickle=False) as arrays:
            # Earlier versions saved no purity, and had no use for it.
            snapshot = PoolSnapshot(status=arrays["status"], labels=arrays["labels"], purity=arrays.get("purity"))
        loop = LoopState(
            iteration=manifest["iteration"],
            interactions=manifest["interactions"],
            human_seconds=manifest["human_seconds"],
            pool=snapshot,
        )
        return SavedState(loop, model, manifest["results"], dict(manifest.get("ledger", {})))


def iteration_name(iteration: int) -> str:
    """The stem of an iteration's files."""
    return f"iteration-{iteration:03d}"


def iteration_of(name: str) -> int:
    """The iteration of a file named by `iteration_name`."""
    return int(name.partition(".")[0].removeprefix("iteration-"))


def by_iteration(names: Iterable[str]) -> list[str]:
    """Names of iterations' files in their order, which is not that of the text from 1,000 on; others are left out."""
    return sorted(filter(_ITERATION.match, names), key=iteration_of)
