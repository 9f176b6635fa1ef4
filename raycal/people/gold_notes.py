"""What a newcomer is told after an answer to a gold question."""

from collections.abc import Sequence
from typing import Any

from raycal.people.gold_results import FirstAnswers, GoldOutcome

# From this share of other answers on, the newcomer is told what helps.
MANY_OTHERS = 0.4
_PEOPLE = ("nobody", "one person", "two people", "three people", "four people", "five people")


def gold_note(outcome: GoldOutcome, classes: Sequence[str]) -> dict[str, Any]:
    """The note for the page: a sentence about the answer, the known class if the answer is another one, and after the
    last gold question its result.

    Args:
        classes: The names of the classes by their ids.
    """
    known = classes[outcome.known.label]
    people = outcome.known.people
    before = f"{_PEOPLE[people] if people < len(_PEOPLE) else f'{people} people'} before you said"
    if outcome.agrees:
        text = f"You said {known}; {before} the same."
    elif outcome.label is None:
        text = f"You left it open; {before} {known}."
    else:
        text = f"You said {classes[outcome.label]}; {before} {known}."
    return {
        "text": text,
        "class": None if outcome.agrees else known,
        "result": result_of(outcome.so_far) if outcome.is_last else "",
    }


def result_of(first: FirstAnswers) -> str:
    """What all answers to gold questions together say to the newcomer."""
    result = f"{first.agreeing} of {first.asked} agree with the known labels."
    if first.asked - first.agreeing < MANY_OTHERS * first.asked:
        return f"{result} The other questions follow."
    return (
        f"{result} That is not unusual at the beginning. Press H to see what belongs to each class, and U if you "
        "cannot tell. The owner of the project sees this result, too. You can go on now."
    )
