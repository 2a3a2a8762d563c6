"""Token buckets, with the moments given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tilth.core.buckets import MOST_KEYS, Buckets


def test_a_bucket_gives_its_burst_and_then_one_at_a_time():
    buckets = Buckets(rate=0.5, burst=3)
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert buckets.take("a", 101.0) == 1.0
    assert buckets.take("a", 102.0) == 0.0
    assert buckets.take("b", 102.0) == 0.0


def test_what_is_given_back_can_be_taken_again_and_never_more_than_the_burst():
    buckets = Buckets(rate=1, burst=1)
    assert buckets.take("a", 0.0) == 0.0
    buckets.give_back("a", 0.0)
    buckets.give_back("a", 0.0)
    assert [buckets.take("a", 0.0), buckets.take("a", 0.0)] == [0.0, 1.0]


def test_a_burst_below_one_still_lets_one_through():
    buckets = Buckets(rate=0.1, burst=0.25)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0


def test_more_keys_than_are_remembered_push_out_those_that_were_used_longest_ago():
    buckets = Buckets(rate=0.001, burst=1)
    for number in range(MOST_KEYS + 5):
        assert buckets.take(number, 0.0) == 0.0
    assert len(buckets) == MOST_KEYS
    assert buckets.take(MOST_KEYS + 4, 0.0) > 0
    assert buckets.take(0, 0.0) == 0.0


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 5), st.integers(1, 10))
def test_never_more_is_let_through_than_the_burst_and_what_came_back(pauses, rate, burst):
    buckets, moment, taken = Buckets(rate, burst), 0.0, 0
    for pause in pauses:
        moment += pause
        taken += buckets.take("a", moment) == 0.0
        assert taken <= burst + moment * rate + 1e-6
