"""Tests the first minutes of a new project: a folder of images, one command, the page, and the labeled data set."""

import csv
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from real import Annotator, Command, label_until, quantile_95, run_command

from raycal.people.check_ids import CHECKS
from raycal.people.events import Answered, Closed, Purpose
from raycal.people.log import read_events
from raycal.storage.folder import Folder

CLASSES = {"red disc": (210, 40, 40), "green box": (40, 160, 60), "blue bar": (40, 60, 200), "<b>gray": (120, 120, 120)}
NUM_IMAGES, NUM_FIRST, NUM_ROUNDS, BUDGET = 200, 20, 2, 24
# The pretrained network would have to be downloaded, so the tests train a small one from its random start.
SETTINGS = (
    *("--set", "model={name: mobilenet_v3_small, weights: none}"),
    *("--set", "training={stop: steps, steps: 20, batch_size: 16, learning_rate: 0.005, image_size: 32}"),
    *("--set", f"iterations={NUM_ROUNDS}", "--set", f"interactions_per_iteration={BUDGET}"),
)
SECONDS = 360.0  # All steps together may take at most this time on two cores.


def draw(rng: np.random.Generator, name: str) -> Image.Image:
    """An image of a class; no two images are alike."""
    noise = rng.integers(200, 256, (48, 64, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    left, top, side = int(rng.integers(2, 30)), int(rng.integers(2, 16)), int(rng.integers(18, 30))
    box = (left, top, left + side, top + side)
    color = tuple(int(value + rng.integers(-20, 20)) for value in CLASSES[name])
    shape = ImageDraw.Draw(image)
    if name == "red disc":
        shape.ellipse(box, fill=color)
    elif name == "blue bar":
        shape.rectangle((left, top, left + side, top + side // 3), fill=color)
    else:
        shape.rectangle(box, fill=color)
    return image


@pytest.fixture
def truth(tmp_path: Path) -> list[str]:
    """The class of each image in the folder `shapes`, by its row."""
    rng = np.random.default_rng(0)
    names = [list(CLASSES)[number] for number in rng.integers(0, len(CLASSES), NUM_IMAGES)]
    (tmp_path / "shapes").mkdir()
    for row, name in enumerate(names):
        draw(rng, name).save(tmp_path / "shapes" / f"{row:03}.png")
    return names


class Bot:
    """A person who labels what the images show, names a class at its first image, and marks the odd images of a
    cluster.

    After the first images of the hold-out, the bot answers only questions of a round, except while the model trains.
    """

    def __init__(self, truth: list[str]) -> None:
        self.truth, self.known = truth, list[str]()
        self.num_held_out = self.num_in_rounds = 0

    def __call__(self, person: Annotator, question: dict[str, Any]) -> bool:
        if question["purpose"] == "round":
            self.num_in_rounds += 1
        elif self.num_held_out < NUM_FIRST or person.state()["phase"] != "preparing":
            self.num_held_out += 1
        else:
            return False
        rows = person.rows(question)
        name, number = Counter(self.truth[row] for row in rows).most_common(1)[0]
        if number / len(rows) < 0.7:
            person.press("x")
            return True
        person.mark(row for row in rows if self.truth[row] != name)
        if name in self.known:
            person.label(self.known.index(name))
        else:
            person.name_class(name)
            self.known.append(name)
        return True


def commands_of_readme() -> list[list[str]]:
    """The arguments of the README's commands that serve and export the folder of images, here the folder `shapes`."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    python -m raycal\.annotate (~/photos\b.*?)(?: +#.*)?$", readme, re.MULTILINE)
    return [command.replace("~/photos", "shapes").split() for command in commands]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.timeout(500)
def test_folder_becomes_a_labeled_data_set(contexts: Callable[[], Any], truth: list[str], tmp_path: Path) -> None:
    begin = time.monotonic()
    serve, export = commands_of_readme()
    arguments = (*serve, *SETTINGS, "--port", str(free_port()))
    bot = Bot(truth)

    with Command(tmp_path, *arguments) as command:
        person = Annotator(contexts(), command.link)
        assert person.next_question()["purpose"] == "holdout"
        first = time.monotonic() - begin
        label_until([person], bot, lambda state: False, most=NUM_FIRST + 5)
        stopped_at = person.next_question()
        person.all_sent()
        assert command.interrupt() == 130
    with Command(tmp_path, *arguments) as command:
        assert command.link
        person.page.click("dialog[data-name=restarted] [data-choice=reload]")
        assert person.next_question() == stopped_at
        label_until([person], bot, lambda state: state["phase"] == "finished", seconds=300)
        person.all_sent()
        paints = person.paint_ms("holdout")
        state = person.state()
        exported = run_command(tmp_path, *export, *SETTINGS)
        assert exported.returncode == 0, exported.stderr
        assert person.errors == []
        assert command.interrupt() == 130
    seconds = time.monotonic() - begin

    print(
        f"first question after {first:.1f} s, all done after {seconds:.0f} s, "
        f"{bot.num_held_out} + {bot.num_in_rounds} answers; "
        f"key to paint while the model trains: p95 {quantile_95(paints):.0f} ms of {len(paints)}"
    )
    assert seconds < SECONDS
    assert quantile_95(paints) < 1000
    assert [one["name"] for one in state["classes"]] == bot.known
    assert set(bot.known) == set(CLASSES)
    num_holdout = state["holdout"]["answered"]
    assert num_holdout >= NUM_FIRST + 5
    # The page does not tell the bot which questions are checks.
    num_checks = check_log(tmp_path, bot.num_held_out + bot.num_in_rounds)
    assert bot.num_held_out + bot.num_in_rounds == NUM_ROUNDS * BUDGET + num_holdout + num_checks
    check_labels(tmp_path / "labeled", truth, num_holdout)
    check_model(tmp_path / "labeled", tmp_path / "new.png")


def check_log(folder: Path, num_answers: int) -> int:
    """Check that every key press is in the log, and that people answered questions of the hold-out while the model was
    trained. Return the number of answers to checks."""
    (people,) = folder.glob("runs/shapes/*/people")
    events = read_events(Folder.at(str(people.parent)))
    answers = [event for event in events if isinstance(event, Answered)]
    assert len(answers) == num_answers
    closed = [event.seq for event in events if isinstance(event, Closed) and event.iteration == 0]
    later = [event.seq for event in answers if event.question.startswith("1.")]
    trained = [event for event in answers if max(closed) < event.seq < min(later)]
    assert len(trained) >= 5
    assert Purpose.HOLDOUT in {event.purpose for event in trained} <= {Purpose.HOLDOUT, *CHECKS}
    return sum(event.purpose in CHECKS for event in answers)


def check_labels(exported: Path, truth: list[str], num_held_out: int) -> None:
    """Check that the files give each image the class that the bot has seen in it."""
    with (exported / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 130
    assert [row for row in rows if row["label"] != truth[int(Path(row["source"]).stem)]] == []
    assert {row["annotator"] for row in rows} == {"owner"}
    assert Counter(row["split"] for row in rows)["test"] == num_held_out
    for row in rows:
        with Image.open(exported / row["file"]) as image:
            assert image.size == (64, 48)
    folders = {Path(row["file"]).parent for row in rows}
    assert len({folder.name for folder in folders}) == len(CLASSES)
    assert all("<" not in str(folder) for folder in folders)


def check_model(exported: Path, new: Path) -> None:
    """Check that the model labels an image that it has never seen."""
    draw(np.random.default_rng(1), "red disc").save(new)
    command = [sys.executable, "predict.py", str(new)]
    done = subprocess.run(command, cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, label, probability = done.stdout.strip().split("\t")
    assert (name, label in CLASSES) == (str(new), True)
    assert re.fullmatch(r"[01]\.\d{4}", probability)
