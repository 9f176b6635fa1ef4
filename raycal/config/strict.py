"""The pydantic base class of all sections of a sweep file, and hints for misspelled names."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict

NAMES_LISTED = 20
MAX_COUNT = 10**9  # a larger count is a mistake, which could overflow a 32-bit counter in a library


class Strict(BaseModel):
    """A frozen model that rejects unknown keys and does not convert types: 1 is not accepted for true."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Count = Annotated[int, Ge(1), Le(MAX_COUNT)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint `(did you mean 'x'?)`, or the list of known names if no known name is similar."""
    names = list(known)
    near = get_close_matches(word, names, n=1)
    listed = [*names[:NAMES_LISTED], "..."] if len(names) > NAMES_LISTED else names
    return f"(did you mean '{near[0]}'?)" if near else f"(known: {', '.join(listed)})"
