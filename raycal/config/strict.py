"""The pydantic base of everything a YAML says, and the words for what is wrong in it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict

NAMES_LISTED = 20
MOST = 10**9  # what is larger is a slip, and too large for a 32-bit counter somewhere below


class Strict(BaseModel):
    """Unknown keys are errors, 1 is not true, nothing changes after the check."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Count = Annotated[int, Ge(1), Le(MOST)]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`(did you mean 'x'?)`, or the known names where none is near."""
    names = list(known)
    near = get_close_matches(given, names, n=1)
    listed = [*names[:NAMES_LISTED], "..."] if len(names) > NAMES_LISTED else names
    return f"(did you mean '{near[0]}'?)" if near else f"(known: {', '.join(listed)})"
