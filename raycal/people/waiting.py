"""Says to people who wait what they wait for, and how long a round still takes."""

import statistics

from raycal.errors import counted
from raycal.people.asking import leases_of
from raycal.people.memory import FINISHED, PREPARING, TRAINING, WAITING, Memory

# With fewer answers than this, no time is estimated.
FEW_ANSWERS = 3
_MESSAGES = {
    PREPARING: "The model prepares the next questions.",
    TRAINING: "The model is being trained, which takes about a minute.",
    WAITING: "The model cannot be trained now. All answers are stored.",
    FINISHED: "All rounds are finished. Thank you!",
}


def message(memory: Memory) -> str:
    """What the experiment does now, as a sentence. Empty while questions are open."""
    return memory.message or _MESSAGES.get(memory.phase, "")


def reason_to_wait(memory: Memory, who: str, client: str) -> str:
    """Why a page of a person has nothing to show."""
    step = memory.open_step
    if step is None:
        return message(memory) or "The model takes over in a moment."
    held = [lease for lease in leases_of(memory.desk, step).values() if lease.client != client]
    if not held:
        return "The next questions come in a moment."
    others = [lease.who for lease in held if lease.who != who]
    if not others:  # the person has reloaded or closed the page, or has it open on another device
        return (
            f"Another page of yours has {counted(len(held), 'question')}, which "
            f"{'comes' if len(held) == 1 else 'come'} here within a minute if it is closed."
        )
    number = len({*others})
    people = "1 other person is" if number == 1 else f"{number} other people are"
    return f"{people} still answering {counted(len(others), 'question')}."


def minutes_left(memory: Memory, num_questions: int) -> float | None:
    """About how long the people who are there need for the questions that are left of the round. None if the time is
    not known."""
    step = memory.open_step
    recent = () if step is None else memory.board.recent_ms[step.step.kind]
    if len(recent) < FEW_ANSWERS:
        return None
    return max(0, num_questions) * statistics.median(recent) / 60_000 / max(1, len(memory.desk.people))
