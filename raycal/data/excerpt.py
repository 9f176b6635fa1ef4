"""Excerpts of texts for people, on one line and without characters that would disturb the page around them."""

import unicodedata

# Marks that change the direction of the text behind them; an excerpt is isolated by the page that shows it.
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# A character with hundreds of marks above it would cover the lines around it.
_MARKS_ON_A_CHARACTER = 3
_READ_PER_CHARACTER = 8


def excerpt(text: str, most: int) -> str:
    """The beginning of a text, of at most this many characters, on one line. An ellipsis is added if more follows.

    White space becomes a single space. Control characters, unassigned characters and lone surrogates become U+FFFD.
    Marks that change the direction of writing are left out, and so are more than three accents on one character.
    """
    text = text.strip()
    read = text[: _READ_PER_CHARACTER * most]
    kept: list[str] = []
    marks = 0
    for sign in " ".join(read.split()):
        category = unicodedata.category(sign)
        marks = marks + 1 if category.startswith("M") else 0
        if sign in _DIRECTION_MARKS or marks > _MARKS_ON_A_CHARACTER:
            continue
        kept.append("\ufffd" if category in ("Cc", "Cs", "Cn") else sign)
    if len(kept) <= most and len(read) == len(text):
        return "".join(kept)
    cut = "".join(kept[: most - 1])
    whole, space, _ = cut.rpartition(" ")
    # A text without spaces, as in Japanese, is cut between any two characters.
    return f"{(whole if space and len(whole) > most // 2 else cut).rstrip()}…"
