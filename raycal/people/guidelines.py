"""What people see when they ask how to label: the owner's guidelines, and examples of each class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raycal.algorithm.records import Indices, Kind
from raycal.people.board import Board
from raycal.people.check_ids import Check
from raycal.people.class_names import same_class_key
from raycal.people.events import Purpose

# The number of examples of a class. The first samples with a label are taken, so they stay the same.
NUM_EXAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidelines:
    """The guidelines of a project.

    Attributes:
        text: What people should know about all classes.
        classes: What belongs to a class, by its name.
    """

    text: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)


def describe_guidelines(guidelines: Guidelines, board: Board, rows: Indices) -> dict[str, Any]:
    """The guidelines in the form in which a page gets them: the classes of the project in their order, and then the
    classes that only the guidelines name.

    The examples are samples of the pool that people labeled alone, with the label of a second look if there was one.
    Samples of the hold-out are no examples, because everybody should judge them without help.

    Args:
        board: The questions and answers.
        rows: (P,) The row of each sample of the pool in the dataset.
    """
    texts = {same_class_key(name): (name, text) for name, text in guidelines.classes.items()}
    examples = _examples(board)
    classes = [
        {"name": name, "text": texts.pop(same_class_key(name), ("", ""))[1], "examples": rows[samples].tolist()}
        for name, samples in zip(board.book.classes, examples, strict=True)
    ]
    classes += [{"name": name, "text": text, "examples": []} for name, text in texts.values()]
    return {"text": guidelines.text, "classes": classes}


def _examples(board: Board) -> list[list[int]]:
    """Samples of the pool with the label of each class."""
    found: list[list[int]] = [[] for _ in range(board.book.num_classes)]
    for place in sorted(board.steps):
        step = board.steps[place]
        if step.step.kind is not Kind.SAMPLE:
            continue
        for question in step.step.first:
            reply = step.replies.get(question.id)
            if reply is None or reply.label is None:
                continue
            sample = int(question.by_distance[0])
            look = board.book.counted(Check(Purpose.LOOK_AGAIN, sample).id)
            label = reply.label if look is None else look.label
            if label is None:  # labels of the sample differ, and the person who looked again could not tell
                continue
            examples = found[label]
            if len(examples) < NUM_EXAMPLES and sample not in examples:
                examples.append(sample)
    return found
