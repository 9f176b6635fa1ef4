"""Makes names of files and folders that every file system accepts, out of names that a person may have typed."""

import unicodedata
from collections.abc import Sequence

MAX_CHARACTERS, MAX_BYTES = 80, 200
# Windows does not allow these names, neither alone nor before a dot.
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³")}
)
_KEPT = frozenset(" -_.+()&,'")


def safe_name(name: str) -> str:
    """The name without unsafe characters: every character is replaced that is not a letter, a digit or a harmless sign.
    The result is empty if the name has no usable character.

    The result has no slash, does not begin with a dot or a dash, and is not a reserved name of Windows.
    """
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(sign if sign in _KEPT or unicodedata.category(sign)[0] in "LNM" else "_" for sign in normal)
    while "__" in kept:
        kept = kept.replace("__", "_")
    kept = _shortened(kept.strip(" _.").lstrip("-' _."))
    return f"{kept}_" if kept.partition(".")[0].strip().casefold() in RESERVED else kept


def folder_names(names: Sequence[str]) -> tuple[str, ...]:
    """A safe name for the folder of each class. No two names are equal, even where upper and lower case count as one.

    A class whose name has no usable character gets the name `class-N` with its number, counted from 0.
    """
    return unique_names([safe_name(name) or f"class-{number}" for number, name in enumerate(names)])


def file_name(name: str) -> str:
    """A safe name for a file, which keeps the suffix of the file."""
    base = name.rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    if not stem or not (suffix.isascii() and suffix.isalnum()):
        return safe_name(base) or "image"
    return f"{safe_name(stem) or 'image'}{dot}{suffix}"


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names in the same order. A name that repeats an earlier one gets `-2`, `-3` and so on before its suffix."""
    # A name that was given takes precedence over the same name with a number that was added here.
    taken, unique = {_key(name) for name in names}, list[str]()
    seen, count = set[str](), dict[str, int]()
    for name in names:
        made, key = name, _key(name)
        if key in seen:
            stem, dot, suffix = name.rpartition(".")
            if not stem:
                stem, dot, suffix = name, "", ""
            while _key(made) in taken:
                count[key] = count.get(key, 1) + 1
                made = f"{stem}-{count[key]}{dot}{suffix}"
            taken.add(_key(made))
        seen.add(_key(made))
        unique.append(made)
    return tuple(unique)


def _key(name: str) -> str:
    """A key that is equal for two names if some file system cannot tell them apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _shortened(name: str) -> str:
    short = name[:MAX_CHARACTERS]
    while len(short.encode()) > MAX_BYTES:
        short = short[:-1]
    return short.rstrip(" _.")
