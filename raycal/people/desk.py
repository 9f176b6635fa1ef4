"""Hands out questions, so that no two people have the same one on their screens.

A page has one question on its screen and some more in memory. A lease on the question on the screen is firm. A lease on
a question in memory is soft: the page is asked to give the question up if another person would have nothing to do. The
other person gets it only when the page has dropped it, because until then a fast answer may bring it to the screen. The
page is never asked for the question that it shows next. Leases are never written to disk. After a restart of the
server, each page tells which questions it holds, and gets leases on them again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

# A page that has been silent for this long counts as closed, and its questions are free.
GONE_SECONDS = 45.0
# How long a question is kept for the person who split its cluster or took back its answer.
RESERVED_SECONDS = 60.0


@dataclass(slots=True)
class QuestionLease:
    """A question that a page holds.

    Attributes:
        is_firm: Whether the question is on the screen.
        order: The page shows its questions in the ascending order of this number.
        wanted_by: The page for which this page is asked to give the question up. None if there is no such page.
        is_given_up: Whether another page has given the question up for this page, which has not asked again yet.
    """

    client: str
    who: str
    is_firm: bool
    order: int
    wanted_by: str | None = None
    is_given_up: bool = False


@dataclass(slots=True)
class _Client:
    who: str
    seen: float


class Desk:
    """The leases of all pages. This class is not thread-safe, so its owner must hold a lock.

    Args:
        clock: Returns the time in seconds since any fixed moment.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clients: dict[str, _Client] = {}
        self._leases: dict[str, QuestionLease] = {}
        self._reserved: dict[str, tuple[str, float]] = {}
        self._order = 0

    @property
    def people(self) -> set[str]:
        """The people who have a page open."""
        self._forget_the_gone()
        return {client.who for client in self._clients.values()}

    def lease(self, question: str) -> QuestionLease | None:
        """The lease of a question. None if it is free."""
        self._forget_the_gone()
        return self._leases.get(question)

    def held(self, among: Collection[str] | None = None) -> dict[str, QuestionLease]:
        """All leases, or only the leases of some questions."""
        self._forget_the_gone()
        if among is None:
            return dict(self._leases)
        return {question: lease for question, lease in self._leases.items() if question in among}

    def see(
        self,
        client: str,
        who: str,
        holding: Sequence[str],
        is_waiting: Callable[[str], bool],
        has_room: Callable[[str], bool] = lambda question: True,
    ) -> list[str]:
        """Note that a page is open, and which questions it holds, the one on its screen first.

        The page gets a lease on each question that it holds and no other page holds, so that a restart of the server
        takes no question away. If another page has the question on this page's screen in memory only, this page gets
        the lease.

        Args:
            is_waiting: Whether a question still has to be answered.
            has_room: Whether pages may hold one more question of the group to which this question belongs, such as the
                questions of one step. The question on the screen may be held in any case.

        Returns:
            The questions that the page should drop, because they are answered, or another page has or needs them.
        """
        self._forget_the_gone()
        self._clients[client] = _Client(who, self._clock())
        self._hand_over(client, [one for one in self._leases if one not in holding])
        lost = []
        for place, question in enumerate(dict.fromkeys(holding)):
            lease = self._leases.get(question)
            is_on_screen = place == 0
            if not is_waiting(question):
                self._leases.pop(question, None)
                lost.append(question)
            elif lease is not None and lease.client == client:
                if is_on_screen:
                    lease.wanted_by = None
                elif lease.wanted_by is not None:
                    lost.append(question)
                self._order += 1
                lease.is_firm, lease.order = is_on_screen, self._order
            elif is_on_screen and (lease is None or not lease.is_firm):
                self._give(question, client, is_firm=True)
            elif lease is None and has_room(question):
                self._give(question, client, is_firm=False)
            else:
                lost.append(question)
        return lost

    def take(
        self, client: str, waiting: Iterable[str], want: int, *, holding: Collection[str] = (), room: int | None = None
    ) -> list[str]:
        """Give a page up to `want` questions that it does not hold yet.

        Args:
            client: A page that `see` has noted.
            waiting: The questions that have to be answered, in the order in which to ask them.
            holding: The questions that the page says it has.
            room: How many questions that no page holds yet may be given. None means that there is no limit.
        """
        who = self._clients[client].who
        for question, lease in self._leases.items():
            if lease.client == client and question not in holding:
                lease.is_firm = False
        given: list[str] = []
        # A question that the server gave and the page does not have was lost on the way, so it is given once more.
        candidates = list(waiting)
        mine = (one for one in candidates if one not in holding and self._was_given_to(client, one))
        reserved = (one for one in candidates if one not in self._leases and self._is_reserved(one, by=who))
        free = (one for one in candidates if one not in self._leases and not self._is_reserved(one))
        for question in chain(mine, reserved, free):
            if len(given) >= want:
                break
            if question in given:
                continue
            if question not in self._leases:
                if room is not None and room <= 0:
                    continue
                room = None if room is None else room - 1
            given.append(question)
        for question in given:
            self._give(question, client, is_firm=not holding and question == given[0])
        return given

    def take_over(self, client: str, waiting: Sequence[str]) -> str | None:
        """Give a page with nothing to do a question that another page has given up. None if there is none yet.

        The first call asks the page with the most questions in memory to give up the question that it would show last.
        No page is asked for the question that it shows next. If an earlier question is free, the free question is given
        instead of the one that was given up. The free question could not be given before, because pages already held as
        many questions as may still be answered.

        Args:
            client: A page that `see` has noted.
            waiting: The questions that have to be answered, in the order in which to ask them.
        """
        asked = set(waiting)
        given_up = [one for one in waiting if self._is_given_up_for(client, one)]
        if given_up:
            del self._leases[given_up[0]]
            self._reserved.pop(given_up[0], None)
            who = self._clients[client].who
            free = (one for one in waiting if one not in self._leases)
            given = next(one for one in free if not self._is_reserved(one) or self._is_reserved(one, by=who))
            self._give(given, client, is_firm=True)
            return given
        if any(lease.wanted_by == client for lease in self._leases.values()):
            return None
        soft = defaultdict[str, list[tuple[int, str]]](list)
        for question, lease in self._leases.items():
            if not lease.is_firm and lease.client != client:
                soft[lease.client].append((lease.order, question))
        later = [
            [one for _, one in sorted(questions)[1:] if one in asked and self._leases[one].wanted_by is None]
            for questions in soft.values()
        ]
        most = max(later, key=len, default=[])
        if most:
            self._leases[most[-1]].wanted_by = client
        return None

    def put_on_screen(self, client: str, who: str, question: str) -> None:
        """Give a question to the page that shows it again, because the person took back the answer to it."""
        self._clients[client] = _Client(who, self._clock())
        for lease in self._leases.values():
            if lease.client == client:
                lease.is_firm = False
        self._reserved.pop(question, None)
        self._give(question, client, is_firm=True)

    def finish(self, question: str) -> None:
        """End the lease of a question that was answered; the page shows its next question now."""
        lease = self._leases.pop(question, None)
        self._reserved.pop(question, None)
        if lease is not None and lease.is_firm:
            following = [one for one in self._leases.values() if one.client == lease.client]
            if following:
                shown = min(following, key=lambda one: one.order)
                shown.is_firm, shown.wanted_by = True, None

    def reserve(self, question: str, who: str) -> None:
        """Keep a question for a person for a while, as long as the person has a page open."""
        self._reserved[question] = who, self._clock() + RESERVED_SECONDS

    def release(self, client: str, questions: Iterable[str]) -> None:
        """Delete the leases of a page on questions that it gives back, and keep those for a page that waits for one."""
        questions = list(questions)
        self._hand_over(client, questions)
        for question in questions:
            if self._is_of(client, question):
                del self._leases[question]

    def leave(self, client: str) -> None:
        """Free all questions of a page that was closed."""
        self._clients.pop(client, None)
        self._leases = {question: lease for question, lease in self._leases.items() if lease.client != client}
        for lease in self._leases.values():
            if lease.wanted_by == client:
                lease.wanted_by = None

    def drop(self, questions: Iterable[str]) -> None:
        """Forget questions that do not have to be answered any more."""
        for question in questions:
            self._leases.pop(question, None)
            self._reserved.pop(question, None)

    def _give(self, question: str, client: str, *, is_firm: bool) -> None:
        self._order += 1
        self._leases[question] = QuestionLease(client, self._clients[client].who, is_firm, self._order)

    def _hand_over(self, client: str, questions: Iterable[str]) -> None:
        """Keep those questions that a page has dropped, and that it was asked to give up, for the pages that wait."""
        for question in questions:
            lease = self._leases.get(question)
            if lease is None or lease.client != client or lease.wanted_by is None:
                continue
            del self._leases[question]
            if lease.wanted_by in self._clients:
                self._give(question, lease.wanted_by, is_firm=True)
                self._leases[question].is_given_up = True

    def _is_of(self, client: str, question: str) -> bool:
        lease = self._leases.get(question)
        return lease is not None and lease.client == client

    def _is_given_up_for(self, client: str, question: str) -> bool:
        return self._is_of(client, question) and self._leases[question].is_given_up

    def _was_given_to(self, client: str, question: str) -> bool:
        """Whether the page was given the question, and has not been asked to give it up."""
        return (
            self._is_of(client, question)
            and self._leases[question].wanted_by is None
            and not self._leases[question].is_given_up
        )

    def _is_reserved(self, question: str, by: str | None = None) -> bool:
        """Whether a question is reserved: for the person `by`, or for anybody if `by` is None."""
        reserved = self._reserved.get(question)
        if reserved is None:
            return False
        who, until = reserved
        is_there = any(client.who == who for client in self._clients.values())
        if not is_there or self._clock() >= until:
            del self._reserved[question]
            return False
        return by is None or by == who

    def _is_reserved_for_others(self, client: str, question: str) -> bool:
        return self._is_reserved(question) and not self._is_reserved(question, by=self._clients[client].who)

    def _forget_the_gone(self) -> None:
        oldest = self._clock() - GONE_SECONDS
        gone = {name for name, client in self._clients.items() if client.seen < oldest}
        if gone:
            self._clients = {name: client for name, client in self._clients.items() if name not in gone}
            self._leases = {question: lease for question, lease in self._leases.items() if lease.client not in gone}
