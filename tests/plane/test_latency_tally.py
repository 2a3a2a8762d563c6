"""Latencies are counted for the life of a worker and for the last minute."""

from __future__ import annotations

from tilth.plane.latency import BUCKET_COUNT, MOST_VERSIONS, Tally
from tilth.wire.plane import LATENCY_BOUNDS_US


def test_each_latency_lands_in_the_first_bucket_that_holds_it() -> None:
    tally = Tally()
    for seconds in (0.0, LATENCY_BOUNDS_US[3] / 1e6, 1e4):
        tally.observe(seconds, 0.0)
    assert [at for at, count in enumerate(tally.buckets) if count] == [0, 3, BUCKET_COUNT - 1]


def test_the_window_forgets_what_is_older_than_a_minute() -> None:
    tally = Tally()
    tally.observe(0.001, 1000.0)
    tally.observe(0.001, 1030.0)
    assert sum(tally.window(1054.0)) == 2
    assert sum(tally.window(1062.0)) == 1
    assert sum(tally.window(5000.0)) == 0
    assert sum(tally.buckets) == 2


def test_errors_of_the_last_minute_are_told_apart_from_older_ones() -> None:
    tally, told = Tally(), {}
    for second in range(1000, 1100):
        tally.errors += {1001: 3, 1032: 1}.get(second, 0)
        told[second] = tally.window_errors(float(second))
    assert [told[second] for second in (1000, 1001, 1031, 1050, 1070, 1099)] == [0, 3, 3, 4, 1, 0]
    assert tally.errors == 4


def test_a_window_that_was_never_used_is_empty() -> None:
    assert Tally().window(123456.0) == (0,) * BUCKET_COUNT


def test_versions_that_nobody_wants_are_forgotten_once_they_are_many() -> None:
    tally = Tally()
    keys = [f"rain/{number}" for number in range(MOST_VERSIONS)]
    for key in keys:
        tally.of(key)
    tally.forget_versions(keys[-2:])
    assert list(tally.versions) == keys
    tally.of("rain/new")
    tally.forget_versions([keys[-1], "rain/new"])
    assert list(tally.versions) == [keys[-1], "rain/new"]
