"""Tests that the samples of a project keep their numbers, and that they are searched once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.annotate.samples import ProjectSamples
from raycal.config import ExperimentConfig
from raycal.data import images
from raycal.data.content import Digests
from raycal.data.remembered import remembered_digests
from raycal.errors import InputError
from raycal.experiment import build
from raycal.people.events import ClassAdded
from raycal.people.log import AnswerLog
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(folder: Path, number: int, *, start: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(start)
    for row in range(number):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{start + row}.png")


def project_of(folder: Path) -> ExperimentConfig:
    settings = {
        "dataset": {"name": "images", "root": str(folder)},
        "model": {"weights": "none"},
        "scenario": "random",
        "expert": "people",
        "training": {"epochs": 1, "image_size": 32},
    }
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


def test_images_that_are_added_later_come_last_in_the_pool(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here / "birds", 20, start=50)
    run_folder = Folder.at(str(here / "run"))
    before = ProjectSamples().open(project_of(here / "birds"), run_folder).dataset
    paint(here / "birds", 5)

    after = ProjectSamples().open(project_of(here / "birds"), run_folder).dataset

    assert capsys.readouterr().out == "  5 new images were added\n"
    assert before.source is not None
    assert after.source is not None
    assert after.source.names == (*before.source.names, "0.png", "1.png", "2.png", "3.png", "4.png")
    assert after.train_rows.tolist() == [*before.train_rows.tolist(), 20, 21, 22, 23, 24]
    assert after.test_rows.tolist() == before.test_rows.tolist()
    assert (after.images[:20] == before.images).all()


def test_sizes_that_a_later_start_prints_are_those_of_the_project(here: Path) -> None:
    paint(here / "birds", 20)
    config, sweep_dir = project_of(here / "birds"), SweepDir(Folder.at(str(here / "runs" / "birds")))
    first = ProjectSamples().inspect(config, sweep_dir=sweep_dir)
    run_folder = sweep_dir.run_dir(config.experiment_id).folder
    ProjectSamples().open(config, run_folder)
    paint(here / "birds", 30, start=100)

    later = ProjectSamples().inspect(config, sweep_dir=sweep_dir)

    # Of 50 images, a fresh draw would hold out ten.
    assert [(info.num_train, info.num_test) for info in (first, later)] == [(16, 4), (46, 4)]
    loaded = ProjectSamples().open(config, run_folder).dataset
    assert (loaded.num_train, loaded.num_test) == (46, 4)
    (here / "birds" / "3.png").unlink()
    with pytest.raises(InputError, match=r"1 of the 50 images of the earlier start is missing now: 3\.png"):
        ProjectSamples().inspect(config, sweep_dir=sweep_dir)


def test_images_are_searched_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(here / "birds", 20)
    searches: list[int] = []

    def counting(root: Path, files: Sequence[str]) -> Digests:
        searches.append(len(files))
        return remembered_digests(root, files)

    monkeypatch.setattr(images, "remembered_digests", counting)
    config, sweep_dir = project_of(here / "birds"), SweepDir(Folder.at(str(here / "runs" / "birds")))
    run_folder = sweep_dir.run_dir(config.experiment_id).folder
    samples = ProjectSamples()
    samples.inspect(config, sweep_dir=sweep_dir)

    assert samples.open(config, run_folder).dataset.num_train == 16
    assert searches == [20]


def test_images_are_searched_again_if_another_server_has_numbered_them(here: Path) -> None:
    paint(here / "birds", 20, start=50)
    config, sweep_dir = project_of(here / "birds"), SweepDir(Folder.at(str(here / "runs" / "birds")))
    run_folder = sweep_dir.run_dir(config.experiment_id).folder
    samples = ProjectSamples()
    samples.inspect(config, sweep_dir=sweep_dir)
    (here / "birds" / "50.png").rename(here / "birds" / "99.png")
    numbered = ProjectSamples().open(config, run_folder).dataset.source

    opened = samples.open(config, run_folder).dataset.source

    assert opened is not None
    assert numbered is not None
    assert opened.names == numbered.names
    assert opened.names[-1] == "99.png"


def test_list_of_images_that_was_removed_is_not_made_again(here: Path) -> None:
    paint(here / "birds", 20)
    run_folder = Folder.at(str(here / "run"))
    ProjectSamples().open(project_of(here / "birds"), run_folder)
    (here / "run" / "people" / "images.json").unlink()
    with AnswerLog(run_folder) as log:
        log.write([ClassAdded(seq=1, id="1", who="ana", time="2026-11-27T12:00:00Z", name="robin", label=0)])

    with pytest.raises(InputError, match=r"people/images\.json: is missing, but the answers are about the images"):
        ProjectSamples().open(project_of(here / "birds"), run_folder)
