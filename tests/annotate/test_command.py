"""Tests what the command line refuses before anything is started or written, and what it prints at a restart."""

import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from in_memory import answered
from PIL import Image

from raycal.annotate import labeling
from raycal.annotate.__main__ import main
from raycal.annotate.opening import OpeningProject
from raycal.storage.folder import Folder
from raycal.storage.run_dir import TrialState
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking import NoTracker


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


@pytest.fixture
def without_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained or sent to MLflow. A server opens the project, its owner gives two answers, and it ends."""

    def serve(opening: OpeningProject, *_: object, background: Callable[[Event], None], **__: Any) -> int:
        background(Event())
        for question in opening.next("owner", "a1", [], 2)["questions"]:
            event = answered(uuid4().hex, question["id"], label=None, new_class="wren")
            assert opening.submit("owner", "a1", [event])[0]["status"] == "stored"
        return 143

    monkeypatch.setattr(labeling, "serve", serve)
    monkeypatch.setattr(labeling, "tracked", lambda _: nullcontext(NoTracker()))
    monkeypatch.setattr(labeling.Rounds, "run", lambda *_: None)


def printed_by_a_start(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """The lines that a start of the command prints."""
    assert main(["birds", "--port", "0", "--set", "model.weights=none", *options]) == 143
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("without_rounds")
def test_restart_says_how_many_images_have_a_label(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here / "birds", 20)

    first, second = printed_by_a_start(capsys), printed_by_a_start(capsys)

    assert "  images  birds: comes without labels, 16 in the pool, 4 in the hold-out" in first
    assert not any("so far" in line for line in first)
    assert "  2 of 20 images have a label so far" in second


@pytest.mark.usefixtures("without_rounds")
def test_start_warns_of_a_class_of_the_guidelines_that_nobody_has_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(here / "birds", 20)
    printed_by_a_start(capsys)
    with (here / "birds.yaml").open("a") as file:
        file.write("guidelines: {classes: {Wren: Small and brown., wrenn: The same.}}\n")

    lines = printed_by_a_start(capsys)

    warnings = [line for line in lines if "guidelines" in line]
    assert warnings == ["  warning: guidelines: so far nobody has named a class 'wrenn' (did you mean 'wren'?)"]


@pytest.mark.usefixtures("without_rounds")
def test_finished_project_is_opened_again_if_its_file_has_more_iterations(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(here / "birds", 20)
    printed_by_a_start(capsys, "--set", "iterations=1")
    (run,) = here.glob("runs/birds/*/people")
    writer = RunWriter(Folder.at(str(run.parent)))
    plan = SweepDir(Folder.at(str(run.parent.parent))).read_plan()
    assert plan is not None
    (config,) = plan.experiments.values()
    writer.begin(config)
    writer.finish("iterations")

    lines = [printed_by_a_start(capsys, "--set", f"iterations={number}") for number in (1, 2)]

    assert lines[0][-4:-1] == [
        "  nothing is left to label, because all rounds are finished",
        "  to go on: give a number above 1 in --set iterations=1 and start this command again",
        "  to get the labels and the model: add --export DIR to this command",
    ]
    assert lines[0][-1].startswith("all rounds are finished; all answers are in ")
    assert not any("goes on" in line for line in lines[0])
    assert not any("nothing is left" in line for line in lines[1])
    assert (
        "  the project goes on to 2 rounds; the model learns again from the answers of the finished rounds, because it "
        "was removed at their end"
    ) in lines[1]
    assert writer.state() is TrialState.RUNNING
