from collections.abc import Iterator

import faiss
import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine are the slowest part of a small clustering."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusterings run on the CPU here."""
    monkeypatch.setattr("raycal.kmeans.gpu.is_visible", lambda: False)
