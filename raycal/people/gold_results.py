"""How often the first answers of newcomers agree with known labels."""

from collections.abc import Iterable
from dataclasses import dataclass

from raycal.people.events import Answered, Event, KnownLabel
from raycal.people.results import wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAnswers:
    """The answers of a newcomer to gold questions.

    Attributes:
        asked: The number of answers. An answer that the newcomer left open is one of them.
        agreeing: How many of them are the known label.
    """

    asked: int = 0
    agreeing: int = 0

    @property
    def share(self) -> float | None:
        """The share of the answers that agree. None without an answer."""
        return self.agreeing / self.asked if self.asked else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the share by Wilson. None without an answer."""
        return None if self.share is None else wilson_interval(self.share, self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldOutcome:
    """What an answer to a gold question says.

    Attributes:
        label: The answer. None if the newcomer left the question open.
        known: The known label.
        so_far: All answers of the newcomer up to this one.
    """

    label: int | None
    known: KnownLabel
    so_far: FirstAnswers

    @property
    def agrees(self) -> bool:
        """Whether the newcomer gave the known label."""
        return self.label == self.known.label

    @property
    def is_last(self) -> bool:
        """Whether this is the last gold question of the newcomer."""
        return self.known.left == 0


class GoldResults:
    """The outcomes of all answers to gold questions so far.

    Args:
        events: The log so far, by its place. Events that are no answers to gold questions change nothing.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._outcomes: dict[str, GoldOutcome] = {}
        self._by_person: dict[str, FirstAnswers] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Add the next event of the log, whose id must be new."""
        if not isinstance(event, Answered) or event.known is None:
            return
        before = self.of(event.who)
        agreeing = before.agreeing + (event.label == event.known.label)
        so_far = FirstAnswers(asked=before.asked + 1, agreeing=agreeing)
        self._by_person[event.who] = so_far
        self._outcomes[event.id] = GoldOutcome(label=event.label, known=event.known, so_far=so_far)

    def outcome(self, answer: str) -> GoldOutcome | None:
        """What the answer with this id says. None if it is no answer to a gold question."""
        return self._outcomes.get(answer)

    def of(self, who: str) -> FirstAnswers:
        """The answers of a person to gold questions."""
        return self._by_person.get(who, FirstAnswers())

    @property
    def by_person(self) -> dict[str, FirstAnswers]:
        """The answers of each person to gold questions, by pseudonym. A person without one is left out."""
        return dict(sorted(self._by_person.items()))
