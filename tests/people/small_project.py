"""Makes a small project for tests, and people who label it."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.data.image_dataset import ImageDataset
from raycal.people.project import Project
from raycal.storage.folder import Folder

# Every third image belongs to the hold-out, so that a row is never equal to its index in the pool.
NUM_IMAGES = 900
TEST_ROWS = np.arange(0, NUM_IMAGES, 3)
TRAIN_ROWS = np.setdiff1d(np.arange(NUM_IMAGES), TEST_ROWS)
# The true class of a row, which only the simulated people know.
TRUTH = np.arange(NUM_IMAGES) // 3 % 5

SIZE = 10


def dataset(class_names: Sequence[str] = ()) -> ImageDataset:
    return ImageDataset(
        images=np.zeros((NUM_IMAGES, 1, 1, 3), np.uint8),
        labels=np.full(NUM_IMAGES, -1),
        train_rows=TRAIN_ROWS,
        test_rows=TEST_ROWS,
        class_names=tuple(class_names),
    )


def project(folder: Folder, **changes: Any) -> Project:
    options: dict[str, Any] = {
        "name": "birds",
        "run_folder": folder,
        "dataset": dataset(),
        "class_names": ("wren", "robin", "tit", "crow", "jay"),
        "rounds": 3,
        "round_budget": 30,
        "group_seconds": 0,
    }
    return Project(**{**options, **changes})


def samples(number: int = 10, *, iteration: int = 0, step: int = 1, start: int = 300) -> StepQuestions:
    return StepQuestions(
        iteration=iteration,
        step=step,
        kind=Kind.SAMPLE,
        budget=number,
        first=tuple(
            Question(id=f"{iteration}.{step}.{one}", by_distance=np.array([start + 7 * one])) for one in range(number)
        ),
    )


def clusters(number: int = 10, *, size: int = SIZE, budget: int | None = None, iteration: int = 0) -> StepQuestions:
    return StepQuestions(
        iteration=iteration,
        step=0,
        kind=Kind.CLUSTER,
        budget=number if budget is None else budget,
        first=tuple(
            Question(
                id=f"{iteration}.0.{one}",
                by_distance=np.random.default_rng(one).permutation(np.arange(size * one, size * (one + 1))),
            )
            for one in range(number)
        ),
    )


def halve(question: Question) -> Sequence[Indices]:
    """Split a cluster into two parts, by the order of the indices."""
    indices = question.indices
    return [indices[: len(indices) // 2], indices[len(indices) // 2 :][::-1]]


def event_id(number: int) -> str:
    return f"{number:032x}"


def answer(number: int, question: str, label: int | None = 0, **changes: Any) -> dict[str, Any]:
    """An answer as the page sends it; without a label it says that the person cannot tell."""
    return {
        "type": "answered",
        "id": event_id(number),
        "question": question,
        "answer": "label" if label is not None else "unsure",
        "label": label,
        "new_class": None,
        "marked": [],
        "shown": 1,
        "timing": {"visible_ms": 1000.4, "first_input_ms": 200.0, "gaps_ms": []},
        "suggestion_shown": False,
        **changes,
    }


def undo(number: int) -> dict[str, Any]:
    return {"type": "undone", "id": event_id(number)}


def rows_of(question: dict[str, Any]) -> list[int]:
    """The images that a page shows for a question, in their order on the page."""
    if question["kind"] == "sample":
        return [question["image"]]
    return question["all"] if "all" in question else [row for band in question["bands"].values() for row in band]


def decide(question: dict[str, Any]) -> dict[str, Any]:
    """The answer that everybody gives to a question. It depends on the question only, not on the person."""
    rng = random.Random(question["id"])
    rows = rows_of(question)
    timing = {"visible_ms": rng.randrange(500, 60_000), "gaps_ms": [rng.randrange(5_000, 50_000)]}
    if question["kind"] == "sample":
        label = int(TRUTH[rows[0]])
        return {"answer": "label", "label": label, "timing": timing} if rng.random() < 0.9 else {
            "answer": "unsure", "label": None, "timing": timing,
        }  # fmt: skip
    kind = rng.choice(["label", "label", "marked", "refused", "split"])
    if kind in ("label", "marked"):
        marked = rng.sample(rows, 2) if kind == "marked" and len(rows) > 2 else []
        return {
            "answer": "label",
            "label": rng.randrange(5),
            "marked": marked,
            "shown": len(rows),
            "timing": timing,
        }
    return {"answer": kind, "label": None, "shown": len(rows), "timing": timing}


class Page:
    """A page of a person: it holds some questions, answers the first one, and asks for further ones."""

    def __init__(self, project: Project, who: str, client: str, ids: Callable[[], str]) -> None:
        self.project, self.who, self.client, self._ids = project, who, client, ids
        self.held: list[dict[str, Any]] = []
        self.wait: str | None = None

    def fill(self, want: int = 3) -> None:
        reply = self.project.next(self.who, self.client, [one["id"] for one in self.held], want - len(self.held))
        self.held = [one for one in self.held if one["id"] not in reply["lost"]] + reply["questions"]
        self.wait = reply["wait"]

    def answer(self, **changes: Any) -> dict[str, Any]:
        question = self.held.pop(0)
        event = {**answer(0, question["id"]), **decide(question), "id": self._ids(), **changes}
        (receipt,) = self.project.submit(self.who, self.client, [event])
        return receipt
