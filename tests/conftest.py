"""Hides GPUs from tests that are not marked `gpu`, and gives each test its own cache folder and MLflow database."""

import gc
import itertools
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import SharedBrowser
from hypothesis import HealthCheck, settings
from mlflow_database import empty_mlflow_database

# Hypothesis fails a test by the clock when an example takes 200 ms, or when making examples is slow. Such failures only
# show that the machine is busy, not that the code is wrong, so they are switched off. A failure of a test prints how to
# run the same example again.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests, and the commands they start, the same signals and devices on every machine.

    A shell that starts a job with `&` lets it ignore SIGINT, `nohup` lets it ignore SIGHUP, and the commands that the
    tests start and interrupt would ignore these signals, too. On a GPU the same work does not give the same bits again,
    so only a run that asks for tests marked `gpu` sees a GPU.

    Compiled modules are kept, even if `PYTHONDONTWRITEBYTECODE` is set: the tests start hundreds of processes, and each
    of them would compile all of raycal again.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if "PYTEST_XDIST_WORKER" in os.environ:  # The tests run in as many processes as there are cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not asks_for("gpu", config.option.markexpr):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def asks_for(mark: str, marks: str) -> bool:
    """Whether `-m`, followed by `marks`, asks for the tests with this mark."""
    return mark in marks.replace(f"not {mark}", "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number of processes that run tests with `--numprocesses logical`: one for each core, and one more for slow
    tests, which often wait for pages, for time-outs, and for processes that wait for each other."""
    return (os.cpu_count() or 1) + asks_for("slow", config.option.markexpr)


# The number of modules that were imported when garbage collections last began to leave out what is in memory.
_left_out = 0


def pytest_collection() -> None:
    """Collect no garbage while tests are collected, because the modules and tests that this makes all stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave the modules that are imported by now out of later garbage collections.

    Every trial of a sweep collects garbage at its end. With torch, MLflow and thousands of tests in memory that takes
    half a second, and most of the time of the tests that run sweeps.
    """
    global _left_out
    gc.collect()
    gc.freeze()
    gc.enable()
    _left_out = len(sys.modules)


def pytest_runtest_logfinish() -> None:
    """Leave large packages that a test has imported out of later garbage collections, too."""
    if len(sys.modules) > _left_out + 100:
        pytest_collection_finish()


# A browser takes seconds to start, so the modules of web pages that follow one another in this process share one.
_browser = SharedBrowser()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests marked `gpu` where torch sees no GPU, and end the browser before a module that may not use it."""
    if "browser" in getattr(item, "fixturenames", ()):
        _browser.user = item.path
    elif item.path != _browser.user:
        _browser.close()
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("torch sees no GPU")


def pytest_sessionfinish() -> None:
    """End the browser of the last tests."""
    _browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each fault of `tests/faults` was tried, and in how many of these tries nothing differed in the
    end."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        for name, tally in getattr(report, "user_properties", ()):
            if name == "faults" and report.when == "teardown":
                for fault, (tried, identical) in tally.items():
                    terminalreporter.write_line(f"{tried:4} tried, {identical:4} identical in the end: {fault}")


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a new folder whose name begins with the given words.

    `tmp_path_factory.mktemp` reads the names of all folders that were made before. With thousands of tests, this took a
    tenth of the time of all tests.
    """
    parent, numbers = tmp_path_factory.mktemp("tests"), itertools.count()

    def make(name: str) -> Path:
        folder = parent / f"{name}{next(numbers)}"
        folder.mkdir(mode=0o700)
        return folder

    return make


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, new_folder: Callable[[str], Path]) -> Path:
    """An empty folder for one test. This fixture takes the place of pytest's own one; see `new_folder`."""
    return new_folder(re.sub(r"\W", "_", request.node.name)[:30])


@pytest.fixture(autouse=True)
def raycal_cache(new_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_folder("cache") / "raycal-cache"
    monkeypatch.setenv("RAYCAL_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def browser() -> Any:
    """The browser of this process, which consecutive tests share."""
    return _browser.get()


@pytest.fixture(scope="session")
def empty_database() -> Path:
    """A file with an MLflow database without runs."""
    return empty_mlflow_database()


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    """The URI of an empty MLflow database in the folder `storage`."""
    (tmp_path / "storage").mkdir()
    shutil.copy(empty_database, tmp_path / "storage" / "mlflow.db")
    return f"sqlite:///{tmp_path}/storage/mlflow.db"
