import time

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=1, database=None)
@given(st.none())
def test_example_that_takes_long_is_no_failure(nothing: None) -> None:
    # Hypothesis allows 0.2 seconds by default, which a busy machine may exceed.
    assert nothing is None
    time.sleep(0.3)
