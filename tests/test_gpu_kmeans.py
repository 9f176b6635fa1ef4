import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from raycal import gpu_kmeans, torch_kmeans
from raycal.algorithm.clustering import clusterings, kmeans

POINTS = np.random.default_rng(0).standard_normal((400, 8), np.float32)
OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it"),
    RuntimeError("CUDA error: out of memory\nCompile with"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fail_with(error: Exception) -> Callable[..., npt.NDArray[np.int64]]:
    def fail(*arguments: object, **options: object) -> npt.NDArray[np.int64]:
        raise error

    return fail


class TestWhetherThereIsOne:
    @pytest.fixture(autouse=True)
    def driver(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """The driver's file, which the tests make."""
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(gpu_kmeans, "DRIVERS", (tmp_path / "other", tmp_path / "driver"))
        return tmp_path / "driver"

    @pytest.mark.parametrize("usable", [True, False])
    def test_torch_says_so_where_there_is_a_driver(
        self, monkeypatch: pytest.MonkeyPatch, driver: Path, usable: bool
    ) -> None:
        driver.touch()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)

        assert gpu_kmeans.has_gpu() is usable

    def test_torch_is_not_imported_without_a_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)  # an import fails

        assert not gpu_kmeans.has_gpu()
        assert gpu_kmeans.lloyd(POINTS, 5, 0, 3) is None
        assert gpu_kmeans.refine(POINTS, np.zeros(400, np.int64), 5, 3) is None

    @pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
    def test_torch_is_not_imported_where_all_are_hidden(
        self, monkeypatch: pytest.MonkeyPatch, driver: Path, visible: str
    ) -> None:
        driver.touch()
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

        assert not gpu_kmeans.has_gpu()


class TestOnAGpuThatIsACpu:
    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu_kmeans, "has_gpu", lambda: True)
        monkeypatch.setattr(gpu_kmeans, "DEVICE", "cpu")

    def test_kmeans_runs_there(self) -> None:
        ids = kmeans(POINTS.astype(np.float64), 9, 4, iterations=7)

        assert np.array_equal(ids, torch_kmeans.lloyd(POINTS, 9, 4, 7, device="cpu"))

    def test_spherical_kmeans_runs_there(self) -> None:
        unit = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)

        ids = clusterings["spherical_kmeans"](POINTS, 9, 4)

        expected = torch_kmeans.lloyd(unit, 9, 4, 40, spherical=True, device="cpu")
        assert (ids == expected).mean() > 0.99  # two ways to divide by the length

    def test_all_of_two_level_kmeans_runs_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "faiss", None)

        ids = clusterings["two_level_kmeans"](POINTS, 25, 0, rounds=100)  # type: ignore[call-arg]

        assert np.array_equal(torch_kmeans.refine(POINTS, ids, 25, 1, device="cpu"), ids)
        assert set(ids.tolist()) == set(range(25))

    def test_faiss_takes_over_when_memory_is_short(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with monkeypatch.context() as without:
            without.setattr(gpu_kmeans, "has_gpu", lambda: False)
            expected = [clusterings[name](POINTS, 9, 4) for name in ("kmeans", "two_level_kmeans")]

        for error in OUT_OF_MEMORY:
            caplog.clear()
            for name in ("lloyd", "refine"):
                monkeypatch.setattr(torch_kmeans, name, fail_with(error))
            with caplog.at_level(logging.WARNING):
                assert np.array_equal(kmeans(POINTS, 9, 4), expected[0])
            assert caplog.messages == [
                f"clustering runs on the CPU, as the GPU has too little free memory: {str(error).splitlines()[0]}"
            ]
            assert np.array_equal(clusterings["two_level_kmeans"](POINTS, 9, 4), expected[1])

    def test_other_errors_come_out_and_leave_the_gpu_to_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(torch_kmeans, "lloyd", fail_with(RuntimeError("CUDA error: device-side assert")))
            with pytest.raises(RuntimeError, match="device-side assert"):
                kmeans(POINTS, 9, 4)

        assert len(kmeans(POINTS, 9, 4)) == 400

    @pytest.mark.parametrize("error", [None, OUT_OF_MEMORY[0], ValueError("no")])
    def test_memory_is_given_back_once_nothing_holds_it(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception | None
    ) -> None:
        held: list[int] = []

        class Held:
            def __init__(self) -> None:
                held.append(1)

            def __del__(self) -> None:
                held.pop()

        def cluster(*arguments: object, **options: object) -> npt.NDArray[np.int64]:
            _tensor = Held()
            if error is not None:
                raise type(error)(str(error))
            return np.zeros(400, np.int64)

        given_back: list[int] = []
        monkeypatch.setattr(torch_kmeans, "lloyd", cluster)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(len(held)))
        try:
            kmeans(POINTS, 9, 4)
        except ValueError:
            assert given_back == [1]  # its own tensors are in the traceback
        else:
            assert given_back == [0]

    def test_one_runs_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running, most, start = SimpleNamespace(now=0), [], Barrier(4)
        cluster = torch_kmeans.lloyd

        def look(*arguments: object, **options: object) -> npt.NDArray[np.int64]:
            running.now += 1
            most.append(running.now)
            ids = cluster(*arguments, **options)  # type: ignore[arg-type]
            running.now -= 1
            return ids

        def run() -> None:
            start.wait()
            kmeans(POINTS, 20, 0)

        monkeypatch.setattr(torch_kmeans, "lloyd", look)
        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert most == [1, 1, 1, 1]


@pytest.mark.gpu
def test_kmeans_runs_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_kmeans.has_gpu()
    monkeypatch.setitem(sys.modules, "faiss", None)

    for name in ("kmeans", "two_level_kmeans"):
        assert set(clusterings[name](POINTS, 20, 0).tolist()) == set(range(20))
