"""Tests small files that would take much memory when read, or claim to need it: in a run folder, in the cache, or with
weights."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_iterations import sample
from states import manifest, torch_file, whole_state

from raycal.algorithm.records import PoolSnapshot
from raycal.config import ExperimentConfig
from raycal.data.cache import MANIFEST, cached_arrays
from raycal.errors import InputError
from raycal.learner.weights import bomb_in
from raycal.storage import ledger
from raycal.storage.folder import Folder
from raycal.storage.pool_file import pack, unpack
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

SAMPLES = 40
MEMORY_BYTES, BOMB_BYTES = 2**21, 2**24
TERABYTE = 2**40


@contextmanager
def little_memory() -> Iterator[None]:
    """Check that the code in the block takes little memory."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES


def npy(shape: tuple[int, ...], dtype: str, content: bytes) -> bytes:
    """A saved array with this header and this content, which may contradict each other."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
    return file.getvalue() + content


def npz(how: int = zipfile.ZIP_DEFLATED, **arrays: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


LABELS = npy((SAMPLES,), "<i4", b"\xff" * 4 * SAMPLES)
STATUS = npy((SAMPLES,), "|i1", bytes(SAMPLES))
POOLS = {
    "a header of a terabyte": npz(status=npy((TERABYTE,), "|i1", b""), labels=LABELS),
    "zeros that are packed": npz(status=npy((BOMB_BYTES,), "|i1", bytes(BOMB_BYTES)), labels=LABELS),
    "zeros that are packed better": npz(
        zipfile.ZIP_LZMA, status=npy((BOMB_BYTES,), "|i1", bytes(BOMB_BYTES)), labels=LABELS
    ),
    "zeros after the array": npz(zipfile.ZIP_BZIP2, status=STATUS + bytes(BOMB_BYTES), labels=LABELS),
    "a table": npz(status=npy((SAMPLES, 10**9), "|i1", b""), labels=LABELS),
    "wide numbers": npz(status=npy((SAMPLES,), f"|S{10**9}", b""), labels=LABELS),
    "objects": npz(status=npy((SAMPLES,), "|O", b"cos\nabort\n(tR."), labels=LABELS),
    "a header without end": npz(status=b"\x93NUMPY\x01\x00\xff\xff" + b" " * 2**16, labels=LABELS),
    "a cut array": npz(status=STATUS[:-1], labels=LABELS),
    "other arrays": npz(other=STATUS),
    "more arrays": npz(status=STATUS, labels=LABELS, other=STATUS),
    "of more samples": pack(PoolSnapshot(status=np.zeros(41, np.int8), labels=np.full(41, -1, np.int32))),
    "text": b"hello",
    "nothing": b"",
}


def test_pool_is_unpacked() -> None:
    pool = unpack(npz(status=STATUS, labels=LABELS), SAMPLES)

    assert (pool.status.tolist(), pool.labels.tolist(), pool.purity) == ([0] * SAMPLES, [-1] * SAMPLES, None)


@pytest.mark.parametrize("case", POOLS)
def test_pool_that_is_none_is_refused_in_little_memory(case: str) -> None:
    with little_memory(), pytest.raises(ValueError):
        unpack(POOLS[case], SAMPLES)


def test_state_with_a_bomb_for_a_pool_is_refused_when_the_size_of_the_pool_is_known(
    run_dir: RunWriter,
    config: ExperimentConfig,
) -> None:
    for name, content in whole_state(POOLS["a header of a terabyte"], b"").items():
        run_dir.folder.write(name, content)

    with little_memory():
        saved = run_dir.begin(config)
        assert saved is not None
        with pytest.raises(ValueError, match=r"1099511627776"):
            saved.loop(SAMPLES)


def huge(folder: Folder, name: str) -> None:
    """Write a sparse file of a terabyte, which takes no room on the disk."""
    path = Path(folder.path, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(TERABYTE)


def refused(name: str, action: Callable[[], object]) -> None:
    with little_memory(), pytest.raises(InputError) as caught:
        action()
    (problem,) = caught.value.problems
    assert f"/{name}: 1,099,511,627,776 bytes, but raycal writes no more than 268,435,456 there; move it" in problem


@pytest.mark.parametrize("name", ["results.jsonl", "config.yaml", "started.json", "error.txt", "environment.json"])
def test_huge_file_of_a_run_is_named(
    run_dir: RunWriter,
    config: ExperimentConfig,
    name: str,
) -> None:
    huge(run_dir.folder, name)
    read: dict[str, Callable[[], object]] = {"error.txt": run_dir.error, "environment.json": run_dir.environment}

    refused(name, read.get(name) or (lambda: run_dir.begin(config)))


def test_huge_plan_is_named(sweep_dir: SweepDir) -> None:
    huge(sweep_dir.folder, "plan.json")

    refused("plan.json", sweep_dir.read_plan)


@pytest.mark.parametrize("name", ["json", "model.pt", "pool.npz"])
def test_huge_file_of_a_state_is_none(
    run_dir: RunWriter,
    config: ExperimentConfig,
    name: str,
) -> None:
    for file, content in whole_state(b"", b"").items():
        run_dir.folder.write(file, content)
    huge(run_dir.folder, f"state/iteration-000.{name}")

    with little_memory():
        assert run_dir.begin(config) is None


def test_huge_part_of_a_ledger_is_damage(run_dir: RunWriter) -> None:
    run_dir.folder.write("ledger/iteration-000.parquet", b"x")
    run_dir.finish("iterations")
    huge(run_dir.folder, "ledger/iteration-000.parquet")

    with little_memory():
        (line,) = run_dir.damage()
    assert "/ledger/iteration-000.parquet: not as the experiment left it" in line


@pytest.mark.parametrize("name", ["../../../../../../dev/zero", "ledger/../../x"])
def test_record_of_the_end_names_no_file_elsewhere(
    run_dir: RunWriter,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    run_dir.folder.write("state/finished.json", json.dumps({"reason": "iterations", "files": {name: "0"}}).encode())
    read = Folder.read

    def watched(self: Folder, file: str, **options: Any) -> bytes | None:
        assert ".." not in file
        return read(self, file, **options)

    monkeypatch.setattr(Folder, "read", watched)

    (line,) = run_dir.damage()
    assert f"/{name}: not as the experiment left it" in line


def test_state_names_no_file_elsewhere(
    run_dir: RunWriter,
    config: ExperimentConfig,
) -> None:
    described = {"iteration": 0, "interactions": 1, "human_seconds": 1.0, "results": []}
    described["files"] = {"../../../../../../dev/zero": "0", "../../../../../../dev/urandom": "0"}
    run_dir.folder.write("state/iteration-000.json", manifest(json.dumps(described).encode()))

    assert run_dir.begin(config) is None


def test_ledger_of_more_values_than_an_experiment_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    part = ledger.to_parquet([sample(number) for number in range(10)])
    monkeypatch.setattr(ledger, "MAX_VALUES_PER_BYTE", 0)
    monkeypatch.setattr(ledger, "MAX_VALUES", 110)
    assert len(ledger.from_parquet(part)) == 10
    monkeypatch.setattr(ledger, "MAX_VALUES", 109)

    for read in (ledger.from_parquet, lambda content: ledger.join([content])):
        with pytest.raises(ValueError, match="more than 109 values"):
            read(part)


class Bytes:
    """An object that unpickles to a bytearray, and whose pickle only holds the length."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (BOMB_BYTES,)


@pytest.mark.parametrize("zipped", [True, False])
def test_model_that_holds_a_bytearray_is_a_bomb(zipped: bool) -> None:
    file = io.BytesIO()
    torch.save({"x": Bytes()}, file, _use_new_zipfile_serialization=zipped)
    assert len(torch.load(io.BytesIO(file.getvalue()), weights_only=True)["x"]) == BOMB_BYTES, "torch makes it"

    with little_memory():
        assert bomb_in(io.BytesIO(file.getvalue())) == "it holds a bytearray, which no state dict does"


def test_model_of_raycal_is_no_bomb() -> None:
    assert bomb_in(io.BytesIO(torch_file(torch.nn.Linear(2, 2).state_dict()))) is None


def a_zip(entry: Path) -> None:
    np.savez_compressed(entry / "values.npz", values=np.zeros(3))
    (entry / "values.npz").replace(entry / "values.npy")


def huge_header(entry: Path) -> None:
    (entry / "values.npy").write_bytes(npy((TERABYTE,), "<f8", b""))


def huge_manifest(entry: Path) -> None:
    huge(Folder.at(str(entry)), MANIFEST)


def deep_manifest(entry: Path) -> None:
    (entry / MANIFEST).write_text("[" * 60_000)


@pytest.mark.parametrize("damage", [a_zip, huge_header, huge_manifest, deep_manifest])
def test_entry_of_the_cache_that_is_none_is_made_again(place: Path, damage: Callable[[Path], None]) -> None:
    def make(folder: Path) -> None:
        np.save(folder / "values.npy", np.arange(3))

    cached_arrays({}, make)
    (entry,) = (path for path in (place / "cache" / "arrays").iterdir() if path.is_dir())
    damage(entry)

    with little_memory():
        assert cached_arrays({}, make)["values"].tolist() == [0, 1, 2]
