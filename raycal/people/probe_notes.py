"""What a person is told about hidden checks after an answer."""

from typing import Any

from raycal.algorithm.records import Indices
from raycal.errors import counted
from raycal.people.probe_results import MANY_MISSES, ProbeOutcome


def note_of(outcome: ProbeOutcome, rows: Indices, noun: str) -> dict[str, Any]:
    """The note for the page: a sentence, the probes as rows of the dataset, and at most once for each person an advice.

    Args:
        outcome: What the answer says about the probes of its question.
        rows: (P,) The row of each sample of the pool in the dataset.
        noun: The word for one sample.
    """
    found, missed = len(outcome.found), len(outcome.missed)
    result = f"{found} found, {missed} missed" if found and missed else "found" if found else "missed"
    number = counted(found + missed, "hidden check")
    advice = ""
    if outcome.has_missed_many:
        advice = (
            f"You have missed {MANY_MISSES} hidden checks so far. That is easy to do, because odd {noun}s are rare. "
            "Look a little longer, and press X if a cluster is mixed."
        )
    return {
        "text": f"{number}: {result}",
        "found": rows[list(outcome.found)].tolist(),
        "missed": rows[list(outcome.missed)].tolist(),
        "advice": advice,
    }
