from collections.abc import Iterator

import faiss
import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run Faiss with one thread: on a busy machine, waiting threads are the slowest part of a small clustering."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the GPUs, so that the clusterings run on the CPU."""
    monkeypatch.setattr("raycal.kmeans.gpu.is_visible", lambda: False)
