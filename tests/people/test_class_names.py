import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.people.class_names import MOST_CHARACTERS, same_class_key, tidy


@pytest.mark.parametrize(
    ("name", "tidied"),
    [
        ("robin", "robin"),
        ("  Great \u00a0\u3000 tit ", "Great tit"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("x" * 64, "x" * 64),
        ("x" * 64 + "   ", "x" * 64),
        ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
    ],
)
def test_name_is_tidied(name: str, tidied: str) -> None:
    assert tidy(name) == tidied


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u3000", "\u200c\u200d", "a\tb", "\x1b[31m", "a\u200bb", "\u202e", "a\u00adb", "a\U000e0041", "x" * 65],
)
def test_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^A class name [^\n]*\.$"):
        tidy(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Robin", "rOBIN"), ("Stra\u00dfe", "STRASSE"), ("a  b", " A B"), ("e\u0301", "\u00c9"), ("a\u200db", "ab")],
)
def test_same_names(one: str, other: str) -> None:
    assert same_class_key(one) == same_class_key(other)


@given(st.text(max_size=80))
def test_tidying_again_changes_nothing(name: str) -> None:
    try:
        tidied = tidy(name)
    except ValueError:
        return
    assert tidy(tidied) == tidied
    assert same_class_key(tidied) == same_class_key(name) != ""
    assert 0 < len(tidied) <= MOST_CHARACTERS
    assert unicodedata.is_normalized("NFC", tidied)
    assert "  " not in tidied == tidied.strip()
