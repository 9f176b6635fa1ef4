"""Fixtures: the processes from which sweeps are forked, and the sweeps that the tests disturb."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from disturbed import SWEEP, TALLY, Disturbed
from forked import Forge
from labeling import DIGITS, IMAGES, Labeling, digit_classes, painted_images
from object_store import CREDENTIALS, ObjectStore
from processes import Starter


@pytest.fixture(autouse=True)
def tally(request: pytest.FixtureRequest) -> Iterator[None]:
    """Attach the counts of a test to its report, which reaches the process that prints the summary."""
    TALLY.clear()
    yield
    request.node.user_properties.append(("faults", dict(TALLY)))


@pytest.fixture(scope="session")
def starters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Starter]]:
    """The processes from which sweeps are forked: one on a machine with a single core, otherwise two."""
    cache = str(tmp_path_factory.mktemp("cache"))
    with ExitStack() as stack:
        yield [stack.enter_context(Starter(cache)) for _ in range(min(2, os.cpu_count() or 1))]


def prepared(
    folder: Path,
    database: Path,
    starters: Sequence[Starter],
    sweep: str,
    store: ObjectStore | None = None,
    *,
    with_report: bool = False,
) -> Disturbed:
    """A sweep to disturb, with the outcome of an undisturbed start."""
    (folder / "small.yaml").write_text(sweep)
    disturbed = Disturbed(folder, folder / "small.yaml", database, starters, store, with_report)
    storage = disturbed.storage("whole")
    code, output = disturbed.start(starters[0], storage)
    assert code == 0, output
    disturbed.whole.update(disturbed.outcome(storage))
    assert len([name for name in disturbed.whole if "/clusters/" in name]) >= 2
    return disturbed


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, starters: Sequence[Starter]) -> Disturbed:
    """A sweep of one trial of two iterations."""
    folder = tmp_path_factory.mktemp("small")
    return prepared(folder, empty_database, starters, SWEEP.replace("ITERATIONS", "2"))


@pytest.fixture(scope="session")
def larger(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, starters: Sequence[Starter]) -> Disturbed:
    """A sweep of two trials of three iterations."""
    folder = tmp_path_factory.mktemp("larger")
    sweep = SWEEP.replace("ITERATIONS", "3") + "grid: {seed: [1, 2]}\n"
    return prepared(folder, empty_database, starters, sweep)


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, starters: Sequence[Starter]) -> Disturbed:
    """A sweep of two trials of two iterations that writes its report."""
    folder = tmp_path_factory.mktemp("reported")
    sweep = SWEEP.replace("ITERATIONS", "2") + "grid: {seed: [1, 2]}\n"
    return prepared(folder, empty_database, starters, sweep, with_report=True)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with ObjectStore() as store:
            yield store


@pytest.fixture(scope="session")
def remote(
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    object_store: ObjectStore,
    starters: Sequence[Starter],
) -> Disturbed:
    """The small sweep with its storage in an object store."""
    folder = tmp_path_factory.mktemp("remote")
    return prepared(folder, empty_database, starters, SWEEP.replace("ITERATIONS", "2"), object_store)


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """The process from which labeling servers and their workers are forked (see `forked`)."""
    with Forge(tmp_path_factory.mktemp("forge"), str(tmp_path_factory.mktemp("cache"))) as forge:
        yield forge


@pytest.fixture(scope="session")
def labeled_digits(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, forge: Forge) -> Labeling:
    """A labeling project with the images and the classes of the digits."""
    folder = tmp_path_factory.mktemp("labeled-digits")
    (folder / "digits.yaml").write_text(DIGITS)
    labeling = Labeling("digits", folder, folder / "digits.yaml", empty_database, forge, digit_classes(), False)
    return labeling.undisturbed()


@pytest.fixture(scope="session")
def labeled_images(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, forge: Forge) -> Labeling:
    """A labeling project with a folder of images, whose classes are named while they are labeled."""
    folder = tmp_path_factory.mktemp("labeled-images")
    classes = painted_images(folder / "shapes", 50)
    (folder / "shapes.yaml").write_text(IMAGES.replace("ROOT", str(folder / "shapes")))
    labeling = Labeling("shapes", folder, folder / "shapes.yaml", empty_database, forge, classes, True)
    return labeling.undisturbed()
