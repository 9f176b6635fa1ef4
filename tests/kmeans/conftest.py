from collections.abc import Iterator

import faiss
import pytest
import torch

from raycal.kmeans import gpu


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run Faiss with one thread: on a busy machine, waiting threads are the slowest part of a small clustering."""
    before = faiss.omp_get_max_threads(), torch.get_num_threads()
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clear, before and after each test, the cached check for a GPU and the record of warnings."""
    monkeypatch.setattr(gpu, "_warned", set())
    forget = gpu.faiss_has_gpu.cache_clear
    forget()
    yield
    forget()
