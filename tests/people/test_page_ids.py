import re

import pytest

from raycal.people.check_ids import check_of
from raycal.people.page_ids import PageIds

PLACES = [
    ("3.1.17", (3, 1)),
    ("h.12", None),
    ("repeat.250", (3, 1)),
    ("shared.250", None),
    ("audit.0", (0, 0)),
    ("gold.1712345678", None),
]


@pytest.mark.parametrize(("question", "place"), PLACES)
def test_id_for_pages_leads_back_to_the_log(question: str, place: tuple[int, int] | None) -> None:
    ids = PageIds("a key")
    shown = ids.for_page(question, place)

    assert ids.in_log(shown) == question
    assert PageIds("a key").in_log(shown) == question
    assert PageIds("another key").in_log(shown) != question


def test_id_for_pages_has_one_form_for_all_questions_of_a_place() -> None:
    ids = PageIds("a key")
    shown = [
        ids.for_page(question, (3, 1))
        for question in ("3.1.17", "repeat.17", "shared.17", "audit.17", "gold.1712345678")
    ]

    assert len(set(shown)) == 5
    assert all(re.fullmatch(r"3\.1\.x[0-9a-f]{16}", one) for one in shown)


def test_ids_of_the_log_are_kept_without_a_key_and_for_clusters() -> None:
    assert PageIds(None).for_page("3.1.17", (3, 1)) == "3.1.17"
    assert PageIds("a key").in_log("3.0.17.1") == "3.0.17.1"
    assert PageIds("a key").in_log("h.x0000000000000000") not in ("h.0", "repeat.0", "shared.0", "audit.0")


@pytest.mark.parametrize("question", ["3.1.17", "h.3", "repeat.", "repeat.-1", "repeat.01", "audit.1.2", "audit.²", ""])
def test_only_checks_are_read_as_checks(question: str) -> None:
    assert check_of(question) is None


def test_check_has_its_id() -> None:
    check = check_of("shared.12")
    assert check is not None
    assert (check.purpose.value, check.number, check.id) == ("shared", 12, "shared.12")
