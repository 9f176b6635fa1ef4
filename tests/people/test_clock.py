from dataclasses import replace

import pytest

from raycal.algorithm.records import Kind
from raycal.people.clock import answer_ms, counted_ms
from raycal.people.events import Answered, GivenAnswer, Purpose, Timing

SAMPLE = Answered(
    seq=1,
    id="a",
    who="ana",
    time="2026-01-01T00:00:00Z",
    question="0.0.0",
    kind=Kind.SAMPLE,
    answer=GivenAnswer.LABEL,
    label=0,
    purpose=Purpose.ROUND,
    timing=Timing(visible_ms=0),
)


@pytest.mark.parametrize(
    ("visible", "gaps", "counted"),
    [
        (2_345, [], 2_345),
        # After three seconds of looking there is a pause of 40 seconds, which counts as twenty seconds.
        (43_000, [40_000], 23_000),
        (20_000, [20_000], 20_000),
        (20_001, [20_001], 20_000),
        (100_001, [30_000, 50_000, 19_999], 60_001),
        # The gap is longer than the whole time, because the page was hidden in the pause or a clock was wrong.
        (1_000, [90_000], 0),
    ],
)
def test_pause_of_a_sample_counts_up_to_twenty_seconds(visible: int, gaps: list[int], counted: int) -> None:
    event = replace(SAMPLE, timing=Timing(visible_ms=visible, gaps_ms=tuple(gaps)))

    assert answer_ms(event) == counted


@pytest.mark.parametrize(("shown", "limit"), [(0, 30_000), (1, 30_500), (36, 48_000), (60, 60_000)])
def test_pause_of_a_cluster_may_be_longer_the_more_images_it_shows(shown: int, limit: int) -> None:
    def counted(gap: int) -> int:
        timing = Timing(visible_ms=gap + 7, gaps_ms=(gap,))
        return answer_ms(replace(SAMPLE, kind=Kind.CLUSTER, shown=shown, timing=timing))

    assert [counted(limit - 1), counted(limit), counted(limit + 1)] == [limit + 6, limit + 7, limit + 7]


def test_another_limit_can_be_applied_to_what_was_stored() -> None:
    timing = Timing(visible_ms=100_000, gaps_ms=(60_000, 8_000))

    assert [counted_ms(timing, limit) for limit in (5_000, 10_000, 100_000)] == [42_000, 50_000, 100_000]
