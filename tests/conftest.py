"""A cache folder of its own for each test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def raycal_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "raycal-cache"
    monkeypatch.setenv("RAYCAL_CACHE", str(folder))
    return folder
