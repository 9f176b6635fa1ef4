"""Turns what a page measured into the seconds that an answer cost.

The page measures how long the images of a question were visible, and each pause between two inputs that took longer
than five seconds. Both are stored as they were measured, so that another limit can be applied years later.
"""

from raycal.algorithm.records import Kind
from raycal.people.events import Answered, Timing

# Milliseconds of a pause that count; in the rest of a longer pause, the person probably did something else.
SAMPLE_PAUSE_MS = 20_000
CLUSTER_PAUSE_MS = 30_000
# A person who looks at many images may look longer before the next input.
CLUSTER_PAUSE_MS_PER_IMAGE = 500


def pause_limit_ms(num_shown: int, *, is_cluster: bool) -> int:
    """The longest pause that counts in full, in milliseconds, for a sample or for a cluster with this many images."""
    return CLUSTER_PAUSE_MS + CLUSTER_PAUSE_MS_PER_IMAGE * num_shown if is_cluster else SAMPLE_PAUSE_MS


def counted_ms(timing: Timing, limit_ms: int) -> int:
    """The visible time in milliseconds, less the part of each pause that is above the limit; never below zero."""
    return max(0, timing.visible_ms - sum(max(0, gap - limit_ms) for gap in timing.gaps_ms))


def answer_ms(event: Answered) -> int:
    """The milliseconds that an answer cost."""
    is_cluster = event.kind is Kind.CLUSTER
    return counted_ms(event.timing, pause_limit_ms(event.shown, is_cluster=is_cluster))
