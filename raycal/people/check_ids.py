"""The ids of the questions that check labels.

A check is recognized by its id alone, so the log needs nothing else to know what an answer was about:

- `repeat.17` and `shared.17` ask about the single sample that the event 17 of the log is the answer to.
- `audit.345` asks about the sample 345 of the pool.
- `look_again.345` asks about the sample 345 of the pool, whose label is in doubt.
- `gold.1712345678` asks a newcomer about the single sample that the event 17 of the log is an answer to. The last eight
  digits say which newcomer; see `raycal.people.gold`.

These ids have two parts, so the functions that read the id of a step or of the hold-out do not take them for theirs.
"""

from dataclasses import dataclass

from raycal.people.events import Purpose

CHECKS = (Purpose.REPEAT, Purpose.SHARED, Purpose.AUDIT, Purpose.LOOK_AGAIN)
_BY_NAME = {purpose.value: purpose for purpose in (*CHECKS, Purpose.GOLD)}


@dataclass(frozen=True, slots=True)
class Check:
    """A question that checks a label.

    Attributes:
        purpose: What is checked.
        number: The place in the log of the answer that is checked; for an audit and for a look again, the sample of the
            pool; for a gold question, see `raycal.people.gold`.
    """

    purpose: Purpose
    number: int

    @property
    def id(self) -> str:
        """The id of the question."""
        return f"{self.purpose.value}.{self.number}"


def check_of(question: str) -> Check | None:
    """The check with this id. None for a question of a round or of the hold-out, and for an id that nothing has."""
    name, _, number = question.partition(".")
    purpose = _BY_NAME.get(name)
    if purpose is None or not (number.isascii() and number.isdecimal()) or len(number) > 16:
        return None
    check = Check(purpose, int(number))
    return check if check.id == question else None
