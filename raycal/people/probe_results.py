"""Which probes people found and missed, and the share that a person misses.

A probe says something about a person only if the person gave the cluster another class than that of the probe. It
counts once for each person: the receipt of the answer shows the probe, so an answer after `undo` is no test any more.
An answer that was taken back counts if it was the first, and so do second opinions and late answers, because none of
them knew the probes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from raycal.people.events import Answered, Event, GivenAnswer
from raycal.people.exact_interval import exact_interval

# After so many missed probes the page asks a person, once, to look more closely.
MANY_MISSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MissRate:
    """How many of the probes were missed."""

    shown: int = 0
    missed: int = 0

    def __add__(self, other: "MissRate") -> "MissRate":
        return MissRate(shown=self.shown + other.shown, missed=self.missed + other.missed)

    @property
    def share(self) -> float | None:
        """The share of the probes that were missed. None without a probe."""
        return self.missed / self.shown if self.shown else None

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the probability to miss a probe; from 0 to 1 without a probe."""
        return exact_interval(self.missed, self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """What an answer says about the probes of its question.

    Attributes:
        found: The probes that the person marked.
        missed: The probes that the person did not mark.
        has_missed_many: Whether the person has missed `MANY_MISSES` probes with this answer, and fewer before it.
    """

    found: tuple[int, ...]
    missed: tuple[int, ...]
    has_missed_many: bool = False


class ProbeResults:
    """The outcomes of all answers so far.

    Args:
        events: The log so far, by its place. Events that are no answers change nothing.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._outcomes: dict[str, ProbeOutcome] = {}
        self._tested: set[tuple[str, int]] = set()
        self._rates: dict[str, MissRate] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Add the next event of the log, whose id must be new."""
        if not isinstance(event, Answered) or not event.probes or event.answer is not GivenAnswer.LABEL:
            return
        tested = [
            probe.sample
            for probe in event.probes
            if probe.label != event.label and (event.who, probe.sample) not in self._tested
        ]
        if not tested:
            return
        self._tested.update((event.who, index) for index in tested)
        found = tuple(index for index in tested if index in event.probes_found)
        missed = tuple(index for index in tested if index not in event.probes_found)
        before = self.rate_of(event.who)
        now = self._rates[event.who] = before + MissRate(shown=len(tested), missed=len(missed))
        self._outcomes[event.id] = ProbeOutcome(
            found=found, missed=missed, has_missed_many=before.missed < MANY_MISSES <= now.missed
        )

    def outcome(self, answer: str) -> ProbeOutcome | None:
        """What the answer with this id says about probes. None if it says nothing."""
        return self._outcomes.get(answer)

    def rate_of(self, who: str) -> MissRate:
        """How many probes a person missed."""
        return self._rates.get(who, MissRate())

    @property
    def by_person(self) -> dict[str, MissRate]:
        """How many probes each person missed, by pseudonym. A person without a probe is left out."""
        return dict(sorted(self._rates.items()))

    @property
    def of_all(self) -> MissRate:
        """How many probes all people together missed."""
        return sum(self._rates.values(), MissRate())
