"""Tests what the command line refuses before anything is started or written."""

import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.annotate.__main__ import main
from raycal.annotate.command import inspect_samples, open_samples
from raycal.config import ExperimentConfig
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


@pytest.mark.parametrize(
    ("number", "problem"),
    [(0, "has no image"), (1, "at least 2 different ones are needed")],
)
def test_folder_without_enough_images_leaves_nothing_behind(
    number: int, problem: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(here / "birds", number)

    assert main(["birds"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert [path.name for path in here.iterdir()] == ["birds"]


def test_root_of_the_file_system_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/"]) == 2

    assert capsys.readouterr().err == "/: give a folder below this one\n"


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
    before = open_samples(project_of(here / "birds"), run_folder).dataset
    paint(here / "birds", 5)

    after = open_samples(project_of(here / "birds"), run_folder).dataset

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
    first = inspect_samples(config, sweep_dir=sweep_dir)
    run_folder = sweep_dir.run_dir(config.experiment_id).folder
    open_samples(config, run_folder)
    paint(here / "birds", 30, start=100)

    later = inspect_samples(config, sweep_dir=sweep_dir)

    # Of 50 images, a fresh draw would hold out ten.
    assert [(info.num_train, info.num_test) for info in (first, later)] == [(16, 4), (46, 4)]
    loaded = open_samples(config, run_folder).dataset
    assert (loaded.num_train, loaded.num_test) == (46, 4)
    (here / "birds" / "3.png").unlink()
    with pytest.raises(InputError, match=r"1 of the 50 images of the earlier start is missing now: 3\.png"):
        inspect_samples(config, sweep_dir=sweep_dir)


def test_list_of_images_that_was_removed_is_not_made_again(here: Path) -> None:
    paint(here / "birds", 20)
    run_folder = Folder.at(str(here / "run"))
    open_samples(project_of(here / "birds"), run_folder)
    (here / "run" / "people" / "images.json").unlink()
    with AnswerLog(run_folder) as log:
        log.write([ClassAdded(seq=1, id="1", who="ana", time="2026-11-27T12:00:00Z", name="robin", label=0)])

    with pytest.raises(InputError, match=r"people/images\.json: is missing, but the answers are about the images"):
        open_samples(project_of(here / "birds"), run_folder)


def test_port_in_use_is_refused_before_anything_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here / "birds", 20)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert main(["birds", "--port", str(port), "--set", "model.weights=none"]) == 2

    assert capsys.readouterr().err == f"--port {port}: is in use; choose another one, or leave the option out\n"
    assert not list(here.glob("runs/birds/[!.]*"))


def test_link_of_an_invited_person_names_the_running_server(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here / "birds", 20)
    assert main(["birds", "--invite", "  ana  maria "]) == 0
    assert "ana maria labels here: http://127.0.0.1:8700/#t=" in capsys.readouterr().out
    (people,) = here.glob("runs/birds/*/people")
    (people / "address.txt").write_text("https://birds.example/#t=")

    assert main(["birds", "--invite", "ana maria"]) == 0
    assert "ana maria labels here: https://birds.example/#t=" in capsys.readouterr().out
    assert main(["birds", "--invite", "ana maria", "--port", "9000"]) == 0
    assert "ana maria labels here: http://127.0.0.1:9000/#t=" in capsys.readouterr().out


def test_export_before_the_first_round_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here / "birds", 20)

    assert main(["birds", "--export", "out"]) == 2
    assert capsys.readouterr().err == (
        "birds: nothing can be exported before the first round is finished and the model has learned from it\n"
    )
    assert [path.name for path in here.iterdir()] == ["birds"]
