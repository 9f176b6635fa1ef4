"""What people see when they ask how to label: the owner's guidelines, and examples of each class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raycal.algorithm.records import Indices, Kind
from raycal.people.board import Board
from raycal.people.check_ids import Check
from raycal.people.class_names import same_class_key
from raycal.people.events import Purpose

# The number of examples of a class. Of those that were checked, and then of the others, the first ones are taken.
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


def describe_guidelines(
    guidelines: Guidelines, board: Board, rows: Indices, agree_about: Callable[[str], bool | None]
) -> dict[str, Any]:
    """The guidelines in the form in which a page gets them: the classes of the project in their order, and then the
    classes that only the guidelines name.

    The examples are samples of the pool that people labeled alone, with the label of a second look if there was one.
    The first `num_checked` of a class were checked: they had a second look, or people agree about them. A sample about
    which people disagree is no example before its second look. Samples of the hold-out are no examples, because
    everybody should judge them without help.

    Args:
        board: The questions and answers.
        rows: (P,) The row of each sample of the pool in the dataset.
        agree_about: Whether the people who labeled the sample of a question alone agree. None if fewer than two did.
    """
    texts = {same_class_key(name): (name, text) for name, text in guidelines.classes.items()}
    classes = [
        {
            "name": name,
            "text": texts.pop(same_class_key(name), ("", ""))[1],
            "examples": rows[[*checked, *others][:NUM_EXAMPLES]].tolist(),
            "num_checked": min(len(checked), NUM_EXAMPLES),
        }
        for name, (checked, others) in zip(board.book.classes, _examples(board, agree_about), strict=True)
    ]
    classes += [{"name": name, "text": text, "examples": [], "num_checked": 0} for name, text in texts.values()]
    return {"text": guidelines.text, "classes": classes}


def _examples(board: Board, agree_about: Callable[[str], bool | None]) -> list[tuple[list[int], list[int]]]:
    """Samples of the pool with the label of each class: those that were checked, and the others."""
    found: list[tuple[list[int], list[int]]] = [([], []) for _ in range(board.book.num_classes)]
    seen = set[int]()
    for place in sorted(board.steps):
        step = board.steps[place]
        if step.step.kind is not Kind.SAMPLE:
            continue
        for question in step.step.first:
            reply = step.replies.get(question.id)
            if reply is None or reply.label is None:
                continue
            sample = int(question.by_distance[0])
            if sample in seen:
                continue
            seen.add(sample)
            look = board.book.counted(Check(Purpose.LOOK_AGAIN, sample).id)
            is_agreed = agree_about(question.id) if look is None else True
            label = reply.label if look is None else look.label
            # Labels of the sample may differ, and nobody looked again, or the person who did could not tell.
            if label is not None and is_agreed is not False:
                found[label][0 if is_agreed else 1].append(sample)
    return found
