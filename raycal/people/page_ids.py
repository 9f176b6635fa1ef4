"""The ids under which pages know single samples, which do not tell a check from an ordinary question.

In the log, the id of a check says what it checks. A page gets each single sample under an id of the same form, whose
last part is encrypted. The server can decrypt it without a table, so an id stays valid when the server starts again.
"""

import hashlib
import re

from raycal.people.check_ids import Check, check_of
from raycal.people.events import Purpose
from raycal.people.fold import HOLDOUT, holdout_position

_PURPOSES = tuple(Purpose)
_PAGE_ID = re.compile(rf"({HOLDOUT}|[0-9]+\.[0-9]+)\.x([0-9a-f]{{16}})")
_NUM_BITS, _HALF_BITS, _NUM_ROUNDS = 56, 32, 4
_HALF = (1 << _HALF_BITS) - 1


class PageIds:
    """Translates between the ids of the log and those of the pages.

    Args:
        key: A text that no page knows, and that is the same at every start. None means that pages get the ids of the
            log, which is possible only without checks.
    """

    def __init__(self, key: str | None) -> None:
        self._key = None if key is None else key.encode()

    def for_page(self, question: str, place: tuple[int, int] | None) -> str:
        """The id of a single sample for a page.

        Args:
            question: The id in the log.
            place: The iteration and the step to which the question belongs or, for a check, seems to belong. None means
                the hold-out.
        """
        if self._key is None:
            return question
        check, position = check_of(question), holdout_position(question)
        if check is not None:
            purpose, number = check.purpose, check.number
        elif position is not None:
            purpose, number = Purpose.HOLDOUT, position
        else:
            purpose, number = Purpose.ROUND, int(question.rpartition(".")[2])
        prefix = HOLDOUT if place is None else f"{place[0]}.{place[1]}"
        return f"{prefix}.x{self._encrypted(_PURPOSES.index(purpose) << _NUM_BITS | number):016x}"

    def in_log(self, page_id: str) -> str:
        """The id in the log. An id that is not encrypted is returned as it is."""
        found = _PAGE_ID.fullmatch(page_id)
        if found is None or self._key is None:
            return page_id
        value = self._decrypted(int(found[2], 16))
        index, number = value >> _NUM_BITS, value & ((1 << _NUM_BITS) - 1)
        if index >= len(_PURPOSES):  # no server has made this id
            return page_id
        purpose = _PURPOSES[index]
        if purpose is Purpose.ROUND:
            return f"{found[1]}.{number}"
        return f"{HOLDOUT}.{number}" if purpose is Purpose.HOLDOUT else Check(purpose, number).id

    # A Feistel cipher: each round changes one half by a function of the other one, so the rounds can be undone.

    def _encrypted(self, value: int) -> int:
        left, right = value >> _HALF_BITS, value & _HALF
        for number in range(_NUM_ROUNDS):
            left, right = right, left ^ self._mixed(number, right)
        return left << _HALF_BITS | right

    def _decrypted(self, value: int) -> int:
        left, right = value >> _HALF_BITS, value & _HALF
        for number in reversed(range(_NUM_ROUNDS)):
            left, right = right ^ self._mixed(number, left), left
        return left << _HALF_BITS | right

    def _mixed(self, number: int, half: int) -> int:
        assert self._key is not None
        content = self._key + bytes([number]) + half.to_bytes(4, "big")
        return int.from_bytes(hashlib.sha256(content).digest()[:4], "big")
