"""Tests how a GPU is detected, and how failures of a GPU are handled.

The machines that run these tests have no GPU, so Faiss and torch behave as they do without a GPU.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace

import faiss
import numpy as np
import pytest
import torch

from raycal.kmeans import ClusterIds, gpu

IDS = np.arange(3)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that stands for the driver's device file; no environment variable hides GPUs from the process."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "DRIVERS", (tmp_path / "other", tmp_path / "driver"))
    (tmp_path / "driver").touch()
    return tmp_path / "driver"


def fail_with(error: Exception) -> Callable[[], ClusterIds]:
    def fail() -> ClusterIds:
        raise error

    return fail


class TestWhetherThereIsOne:
    @pytest.mark.parametrize("usable", [True, False])
    @pytest.mark.usefixtures("driver")
    def test_asks_torch_where_there_is_a_driver(self, monkeypatch: pytest.MonkeyPatch, usable: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)

        assert gpu.torch_has_gpu() is usable

    def test_imports_and_starts_nothing_without_a_driver(self, monkeypatch: pytest.MonkeyPatch, driver: Path) -> None:
        driver.unlink()
        monkeypatch.setitem(sys.modules, "torch", None)  # This makes an import of torch fail.
        monkeypatch.setitem(sys.modules, "faiss", None)

        assert not gpu.torch_has_gpu()
        assert not gpu.faiss_has_gpu()

    @pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
    @pytest.mark.usefixtures("driver")
    def test_imports_and_starts_nothing_where_all_are_hidden(
        self, monkeypatch: pytest.MonkeyPatch, visible: str
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setitem(sys.modules, "faiss", None)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

        assert not gpu.torch_has_gpu()
        assert not gpu.faiss_has_gpu()

    @pytest.mark.skipif(not gpu.is_gpu_build(), reason="needs faiss-gpu")
    def test_warns_once_of_a_driver_whose_gpus_faiss_does_not_see(
        self, monkeypatch: pytest.MonkeyPatch, driver: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "99")  # No machine has a GPU with this number.

        assert [gpu.faiss_has_gpu() for _ in range(3)] == [False, False, False]

        (message,) = caplog.messages
        assert message == (
            "clustering runs on the CPU, because Faiss cannot use the GPU: it sees no GPU; "
            "python -m raycal.doctor says what to do"
        )

    @pytest.mark.usefixtures("driver")
    def test_warns_of_a_faiss_without_gpu_support(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(faiss, "get_compile_options", lambda: "OPTIMIZE AVX2 ")

        assert not gpu.faiss_has_gpu()
        assert "Faiss cannot use the GPU: it is built without GPU support; " in caplog.text

    @pytest.mark.parametrize(
        ("probe", "problem"),
        [
            ("", ""),
            (
                "import sys; sys.exit('Faiss assertion\\nCUDA error 209 no kernel image')",
                "CUDA error 209 no kernel image",
            ),
            ("import os; os.abort()", "a search on the GPU ends with exit code -6"),
            ("import time; time.sleep(60)", "a search on the GPU does not end within 0.5 s"),
        ],
        ids=["works", "says why", "aborts", "hangs"],
    )
    def test_outlives_a_faiss_that_ends_its_process(
        self, monkeypatch: pytest.MonkeyPatch, probe: str, problem: str
    ) -> None:
        monkeypatch.setattr(gpu, "is_gpu_build", lambda: True)
        monkeypatch.setattr(gpu, "PROBE", probe)
        monkeypatch.setattr(gpu, "PROBE_SECONDS", 0.5 if "sleep" in probe else 60)

        assert gpu.faiss_problem() == problem


class TestAttempt:
    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it"),
            RuntimeError(
                "Error in allocMemory: StandardGpuResources: alloc fail\n(cudaMalloc error out of memory [2])"
            ),
        ],
    )
    def test_warns_of_the_first_failure_of_each_library(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            assert [gpu.attempt(name, fail_with(error)) for name in ("Faiss", "Faiss", "torch")] == [None] * 3

        said = " ".join(str(error).split())
        assert caplog.messages == [
            f"{name} failed on the GPU, so clustering falls back to the CPU: {said}" for name in ("Faiss", "torch")
        ]

    def test_mistakes_of_the_program_come_out_and_leave_the_gpu_to_the_next(self) -> None:
        with pytest.raises(ValueError, match="shape"):
            gpu.attempt("Faiss", fail_with(ValueError("shape")))

        assert gpu.attempt("Faiss", lambda: IDS) is IDS

    @pytest.mark.parametrize("error", [None, RuntimeError("CUDA out of memory"), ValueError("no")])
    def test_gives_memory_back_once_nothing_holds_it(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception | None
    ) -> None:
        held: list[int] = []

        class Held:
            def __init__(self) -> None:
                held.append(1)

            def __del__(self) -> None:
                held.pop()

        def cluster() -> ClusterIds:
            _tensor = Held()
            if error is not None:
                raise type(error)(str(error))
            return IDS

        held_at_each_time: list[int] = []
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held_at_each_time.append(len(held)))
        try:
            gpu.attempt("torch", cluster)
        except ValueError:
            assert held_at_each_time == [0, 1]  # The propagating error still holds the tensors.
        else:
            assert held_at_each_time == [0, 0]

    def test_one_runs_at_a_time(self) -> None:
        running, most, start = SimpleNamespace(now=0), [], Barrier(4)

        def cluster() -> ClusterIds:
            running.now += 1
            most.append(running.now)
            Thread(target=lambda: None).start()  # Starting a thread lets another thread run.
            running.now -= 1
            return IDS

        def run() -> None:
            start.wait()
            for _ in range(20):
                gpu.attempt("Faiss", cluster)

        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert most == [1] * 80


@pytest.mark.gpu
def test_faiss_and_torch_use_the_gpu() -> None:
    assert os.environ.get("CUDA_VISIBLE_DEVICES") not in gpu.HIDDEN
    assert gpu.is_gpu_build()
    assert gpu.faiss_problem() == ""
    assert gpu.faiss_has_gpu()
    assert gpu.torch_has_gpu()
