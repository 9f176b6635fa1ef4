"""The saved states of an experiment. The experiment can continue from each complete state; an incomplete state is
ignored."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from raycal.algorithm.records import IterationResult, LoopState
from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.storage.pool_file import pack, unpack
from raycal.storage.results import IterationRecord
from raycal.storage.seal import digest_of

STATES_KEPT = 2
POOL, MODEL, MANIFEST = ".pool.npz", ".model.pt", ".json"
# A model file of more bytes is not read. Any model that raycal trains is smaller.
MAX_MODEL_BYTES = 2**33
_ITERATION = re.compile(r"iteration-\d{3,9}\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class SavedState:
    """The state from which an experiment continues.

    Attributes:
        iteration: The last finished iteration, from 0.
        interactions: The human interactions spent so far.
        human_seconds: The time that these interactions took, in seconds.
        pool: The pool, as `pack` made it.
        model: The model, as the learner saved it.
        results: Every line of results.jsonl up to this state.
        ledger: The digests of the ledger files up to this state, by name; empty in the states of earlier versions.
    """

    iteration: int
    interactions: int
    human_seconds: float
    pool: bytes
    model: bytes
    results: list[IterationRecord]
    ledger: dict[str, str]

    def loop(self, num_samples: int, *, may_have_grown: bool = False) -> LoopState:
        """The state of the loop for a pool of `num_samples` samples.

        Args:
            num_samples: The size of the pool.
            may_have_grown: Whether the saved pool may have been smaller. All samples that it lacks are in D^U.

        Raises:
            ValueError: The saved pool has another size, or the file is not a pool.
        """
        return LoopState(
            iteration=self.iteration,
            interactions=self.interactions,
            human_seconds=self.human_seconds,
            pool=unpack(self.pool, num_samples, may_have_grown=may_have_grown),
        )


class StateDir:
    """The folder `state/` of a run. Each state consists of a pool, a model, and a manifest with their digests. The
    manifest is written last.

    A state is ignored if its manifest or files are incomplete or changed; the state before it is then used.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def save(
        self, result: IterationResult, model: bytes, results: list[IterationRecord], ledger: Mapping[str, str]
    ) -> None:
        """Save an iteration, with the results and ledger digests up to it, and remove all but the newest two states."""
        stem = iteration_name(result.iteration)
        files = {stem + POOL: pack(result.pool), stem + MODEL: model}
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
        """The complete states, the newest first."""
        for name in reversed(by_iteration(self._folder.names(f"iteration-*{MANIFEST}"))):
            state = self._load(name)
            if state is not None:
                yield state

    def drop_after(self, iteration: int) -> None:
        """Remove the states of later iterations; their manifests are removed first."""
        self._remove(name for name in by_iteration(self._folder.names("iteration-*")) if iteration_of(name) > iteration)

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` states, and the remains of other states; manifests are removed first."""
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
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, InputError):
            return None  # The file is complete, but `save` did not write it.

    def _read(self, name: str) -> SavedState | None:
        digest, _, text = (self._folder.read(name) or b"").partition(b"\n")
        if digest_of(text.removesuffix(b"\n")).encode() != digest:
            return None
        manifest = json.loads(text)
        stem = name.removesuffix(MANIFEST)
        pool, model = self._folder.read(stem + POOL), self._folder.read(stem + MODEL, at_most=MAX_MODEL_BYTES)
        if pool is None or model is None or iteration_name(manifest["iteration"]) != stem:
            return None
        digests = {stem + POOL: digest_of(pool), stem + MODEL: digest_of(model)}
        if digests != manifest["files"]:
            return None
        return SavedState(
            iteration=manifest["iteration"],
            interactions=manifest["interactions"],
            human_seconds=manifest["human_seconds"],
            pool=pool,
            model=model,
            results=manifest["results"],
            ledger=dict(manifest.get("ledger", {})),
        )


def iteration_name(iteration: int) -> str:
    """The stem of the names of an iteration's files."""
    return f"iteration-{iteration:03d}"


def iteration_of(name: str) -> int:
    """The iteration of a file named by `iteration_name`."""
    return int(name.partition(".")[0].removeprefix("iteration-"))


def by_iteration(names: Iterable[str]) -> list[str]:
    """The names of the files of iterations, by iteration; other names are left out. From iteration 1,000 on, the order
    of the names as text would differ."""
    return sorted(filter(_ITERATION.match, names), key=iteration_of)
