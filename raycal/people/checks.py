"""Chooses the questions that check labels: which, to whom, and when.

The choice is a function of the log and the seed of the project, so a server that starts again makes the same one.
Checks are in no step, so no ledger sees their answers. Only the answer to a look again changes a label, from the next
round on; see `amendments`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from raycal.algorithm.records import Kind
from raycal.people.board import Board
from raycal.people.check_ids import CHECKS, Check, check_of
from raycal.people.cluster_labels import STRATUM_SIZES, ClusterLabels, newest_cluster_labels
from raycal.people.events import Answered, Event, Purpose, Undone
from raycal.people.fold import Arrival
from raycal.people.gold import GoldQuestions
from raycal.people.look_again import LookAgain
from raycal.people.model_doubts import Doubt

# A person is asked again only after as many further questions, so that the first answer is forgotten.
REPEAT_AFTER = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRates:
    """How many questions check labels; see `raycal.config.checks.ChecksConfig`."""

    repeats: float = 0.0
    shared: float = 0.0
    audits: float = 0.0
    look_again: float = 0.0
    share: float = 0.0
    gold: int = 0

    @property
    def of_purpose(self) -> dict[Purpose, float]:
        """The rate of each kind of check that comes among other questions."""
        return {
            Purpose.REPEAT: self.repeats,
            Purpose.SHARED: self.shared,
            Purpose.AUDIT: self.audits,
            Purpose.LOOK_AGAIN: self.look_again,
        }

    @property
    def are_on(self) -> bool:
        """Whether any check is asked."""
        return self.gold > 0 or any(self.of_purpose.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSample:
    """The sample that a check asks about.

    Attributes:
        is_in_holdout: Whether the sample belongs to the hold-out, and not to the pool.
        position: The position in the test split or in the pool.
        guess: The guess of the model that belongs to the question whose answer is checked.
    """

    is_in_holdout: bool
    position: int
    guess: int | None = None


class Checks:
    """The checks of a project. This class is not thread-safe, so its owner must hold a lock.

    Attributes:
        gold: The questions with which newcomers begin.

    Args:
        board: The answers so far. After each event, `note` must be called when the board has it.
        rates: How many checks are asked.
        seed: The seed of the project.
        doubts: The labels that the newest model doubts.
    """

    def __init__(self, board: Board, rates: CheckRates, seed: int, doubts: Mapping[int, Doubt] | None = None) -> None:
        self._board, self._rates, self._seed = board, rates, seed
        self.gold = GoldQuestions(board, rates.gold, seed)
        self._originals: dict[int, Answered] = {}
        self._repeats: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._shared: list[int] = []
        self._audited: set[int] = set()
        self._num_answers: Counter[str] = Counter()
        self._num_checks: Counter[Purpose] = Counter()
        self._num_others = 0
        self._priority = np.random.default_rng([seed, len(board.labels)]).permutation(len(board.labels))
        # The labels of clusters, and the number of changes and of steps for which they were computed.
        self._labels: tuple[tuple[int, int], ClusterLabels] | None = None
        self._num_changes = 0
        self._looks = LookAgain(board, seed)
        self._looks.note_doubts(doubts or {})
        for given in board.book.all_answers():
            self.note(given.event)

    def note(self, event: Event) -> None:
        """Take account of an event that the board has."""
        self._looks.note(event)
        self.gold.note(event)
        if not isinstance(event, Answered):
            self._num_changes += isinstance(event, Undone)
            return
        self._num_changes += event.purpose is Purpose.ROUND
        self._num_answers[event.who] += 1
        check = check_of(event.question)
        if check is not None:
            self._num_checks[check.purpose] += 1
            if check.purpose is Purpose.AUDIT:
                self._audited.add(check.number)
            return
        self._num_others += 1
        given = self._board.book.given(event.id)
        is_first = given is not None and given.arrival is Arrival.FIRST
        if event.kind is not Kind.SAMPLE or event.label is None or not is_first:
            return
        self._originals[event.seq] = event
        if self._is_drawn(Purpose.REPEAT, event.question):
            self._repeats[event.who].append((self._num_answers[event.who], event.seq))
        if self._is_drawn(Purpose.SHARED, event.question):
            self._shared.append(event.seq)

    def note_doubts(self, doubts: Mapping[int, Doubt]) -> None:
        """Take account of the labels that the newest model doubts."""
        self._looks.note_doubts(doubts)

    def exists(self, question: str) -> bool:
        """Whether a question is a check of a known answer or of a sample of the pool."""
        check = check_of(question)
        if check is None:
            return False
        if check.purpose is Purpose.AUDIT:
            return check.number < len(self._board.labels)
        if check.purpose is Purpose.LOOK_AGAIN:
            return self._looks.exists(check.number)
        if check.purpose is Purpose.GOLD:
            return self.gold.exists(check)
        return check.number in self._originals

    def is_waiting(self, question: str, who: str) -> bool:
        """Whether a question is a check that a person may answer, and that nobody has answered."""
        check = check_of(question)
        if check is None or not self.exists(question) or self._board.book.counted(question) is not None:
            return False
        if check.purpose is Purpose.AUDIT:
            return True
        if check.purpose is Purpose.LOOK_AGAIN:
            return self._looks.is_waiting(check.number)
        if check.purpose is Purpose.GOLD:
            return self.gold.is_waiting(check, who)
        original = self._originals[check.number]
        is_same_person = original.who == who
        is_for_person = is_same_person == (check.purpose is Purpose.REPEAT)
        return is_for_person and self._stands(original) and not self.gold.was_told(who, original.question)

    def sample(self, question: str) -> CheckedSample:
        """The sample that an existing check asks about."""
        check = check_of(question)
        assert check is not None
        if check.purpose is Purpose.AUDIT:
            return CheckedSample(is_in_holdout=False, position=check.number, guess=self._guess_of_cluster(check.number))
        if check.purpose is Purpose.LOOK_AGAIN:
            return CheckedSample(is_in_holdout=False, position=check.number)
        is_gold = check.purpose is Purpose.GOLD
        original = self.gold.original(check) if is_gold else self._originals[check.number].question
        position = self._board.find_in_holdout(original)
        if position is not None:
            return CheckedSample(is_in_holdout=True, position=position)
        found = self._board.find(original)
        assert found is not None
        return CheckedSample(is_in_holdout=False, position=int(found[1].by_distance[0]), guess=found[1].guess)

    def choices(self, question: str) -> list[int] | None:
        """The classes in question, if an existing question asks to look again; None for every other question."""
        check = check_of(question)
        is_look = check is not None and check.purpose is Purpose.LOOK_AGAIN
        return self._looks.choices(check.number) if check is not None and is_look else None

    def num_before_check(self, who: str, num_held: int, most: int) -> int:
        """The number of questions that a person gets before the next check, at most `most`.

        Among each ten questions of a person, with the default share, one place is drawn for a check.

        Args:
            num_held: The number of questions that the page of the person has.
        """
        if not self._rates.are_on or not self._rates.share:
            return most
        length = round(1 / self._rates.share)
        start = self._num_answers[who] + num_held
        for number in range(most):
            block, place = divmod(start + number, length)
            if place == self._hash(f"place.{who}.{block}") % length:
                return number
        return most

    def due(self, who: str, most: int, *, only_with_guess: bool = False, is_in_between: bool = False) -> list[str]:
        """Up to `most` checks to ask a person now. Each kind comes as often as its rate demands.

        Args:
            only_with_guess: Leave out checks of samples for which the model has no guess, because all other questions
                have one. A look again is recognized anyway, so it is not left out.
            is_in_between: Whether there are other questions, so that people look again only as often as the rate
                demands.
        """
        waiting: dict[Purpose, Iterator[str]] = {
            Purpose.REPEAT: self._due_repeats(who),
            Purpose.SHARED: self._due_shared(who),
            Purpose.AUDIT: self._due_audits(most),
            Purpose.LOOK_AGAIN: self._due_looks(is_in_between=is_in_between),
        }
        asked = Counter(self._num_checks)
        rates = self._rates.of_purpose
        kinds = [purpose for purpose in CHECKS if rates[purpose]]
        found: list[str] = []
        while kinds and len(found) < most:
            purpose = min(kinds, key=lambda one: asked[one] / rates[one])
            question = next(waiting[purpose], None)
            if question is None:
                kinds.remove(purpose)
            elif not only_with_guess or purpose is Purpose.LOOK_AGAIN or self.sample(question).guess is not None:
                asked[purpose] += 1
                found.append(question)
        return found

    def _due_repeats(self, who: str) -> Iterator[str]:
        for place, seq in self._repeats.get(who, ()):
            if self._num_answers[who] - place < REPEAT_AFTER:
                return
            if self.is_waiting(question := Check(Purpose.REPEAT, seq).id, who):
                yield question

    def _due_shared(self, who: str) -> Iterator[str]:
        for seq in self._shared:
            if self.is_waiting(question := Check(Purpose.SHARED, seq).id, who):
                yield question

    def _due_audits(self, most: int) -> Iterator[str]:
        """The next samples to audit. Each stratum gets as many as its share of the labels demands."""
        audited = [one for one in self._audited if self._board.book.counted(Check(Purpose.AUDIT, one).id) is not None]
        number = min(most, int(self._rates.audits * self._num_others) - len(audited))
        labels = self._cluster_labels()
        if number <= 0 or not len(labels.index):
            return
        is_done = np.isin(labels.index, audited)
        num_strata = len(STRATUM_SIZES) + 1
        stratum = labels.stratum
        share = np.bincount(stratum, minlength=num_strata) / len(stratum)
        done = np.bincount(stratum[is_done], minlength=num_strata)
        order = [
            members[np.argsort(self._priority[members])].tolist()
            for members in (labels.index[(stratum == one) & ~is_done] for one in range(num_strata))
        ]
        for _ in range(number):
            lacking = [one for one in range(num_strata) if order[one]]
            if not lacking:
                return
            chosen = max(lacking, key=lambda one: share[one] * (done.sum() + 1) - done[one])
            done[chosen] += 1
            yield Check(Purpose.AUDIT, order[chosen].pop(0)).id

    def _due_looks(self, *, is_in_between: bool) -> Iterator[str]:
        most = int(self._rates.look_again * self._num_others) - self._num_checks[Purpose.LOOK_AGAIN]
        yield from islice(self._looks.waiting(), max(0, most) if is_in_between else None)

    def _cluster_labels(self) -> ClusterLabels:
        board = self._board
        state = self._num_changes, len(board.steps)
        if self._labels is None or self._labels[0] != state:
            self._labels = state, newest_cluster_labels(board.answered_steps(), len(board.labels))
        return self._labels[1]

    def _guess_of_cluster(self, sample: int) -> int | None:
        labels = self._cluster_labels()
        place = int(np.searchsorted(labels.index, sample))
        if place == len(labels.index) or labels.index[place] != sample:
            return None
        return labels.questions[int(labels.question[place])].guess

    def _stands(self, original: Answered) -> bool:
        return self._board.book.counted(original.question) is original

    def _is_drawn(self, purpose: Purpose, question: str) -> bool:
        return self._hash(f"{purpose.value}.{question}") < self._rates.of_purpose[purpose] * 2**64

    def _hash(self, text: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._seed}.{text}".encode()).digest()[:8], "big")
