"""Decides which names of classes are allowed, and which names mean the same class."""

import unicodedata

MOST_CHARACTERS = 64
# Two characters that join or separate letters in some languages; all other invisible characters are refused.
_JOINERS = "\u200c\u200d"
_REFUSED_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def tidy(name: str) -> str:
    """The name in the form in which it is kept: composed characters, and single spaces between words.

    Raises:
        ValueError: The name is not allowed; the message is a sentence for the person who typed it.
    """
    composed = unicodedata.normalize("NFC", name)
    # Only kinds of spaces are collapsed here, because a tab or a line break is refused below.
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed)
    tidied = " ".join(part for part in spaced.split(" ") if part)
    if any(unicodedata.category(one) in _REFUSED_CATEGORIES and one not in _JOINERS for one in tidied):
        raise ValueError("A class name cannot contain control characters or other invisible characters.")
    if not same_class_key(tidied):
        raise ValueError("A class name cannot be empty.")
    if len(tidied) > MOST_CHARACTERS:
        raise ValueError(f"A class name can have at most {MOST_CHARACTERS} characters, and this one has {len(tidied)}.")
    return tidied


def same_class_key(name: str) -> str:
    """A key that two names share if they mean the same class: case, spaces and invisible characters make no
    difference."""
    visible = "".join(one for one in unicodedata.normalize("NFC", name) if one not in _JOINERS)
    return unicodedata.normalize("NFC", " ".join(visible.casefold().split()))
