"""Weights decide how many callers meet a version; the same caller always meets the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.plane.routing import BUCKETS, InvalidRoutes, RouteTable, bucket

weights = st.lists(st.integers(1, 100), min_size=1, max_size=6).map(
    lambda parts: [*(part * BUCKETS // sum(parts) for part in parts[1:])]
)


def table(shares: list[int], salt: str = "s") -> RouteTable[str]:
    return RouteTable(salt, [(share, f"v{at}") for at, share in enumerate([*shares, BUCKETS - sum(shares)])])


@given(weights, st.binary(max_size=40))
def test_the_same_caller_always_meets_the_same_version(shares: list[int], caller: bytes) -> None:
    assert table(shares).choose(caller) == table(shares).choose(caller)


@given(st.integers(0, BUCKETS), st.integers(0, BUCKETS), st.binary(max_size=40))
def test_a_growing_candidate_keeps_every_caller_it_had(first: int, second: int, caller: bytes) -> None:
    low, high = sorted((first, second))
    if table([low]).choose(caller) == "v0":
        assert table([high]).choose(caller) == "v0"


@given(st.text(max_size=5), st.binary(max_size=40))
def test_buckets_stay_in_range(salt: str, caller: bytes) -> None:
    assert 0 <= bucket(salt, caller) < BUCKETS


def test_shares_come_out_as_weighted() -> None:
    routes = table([2000])
    met = sum(routes.choose(b"caller-%d" % number) == "v0" for number in range(20_000))
    assert 3700 < met < 4300


def test_a_version_of_weight_zero_is_never_met() -> None:
    routes = RouteTable("s", [(0, "none"), (BUCKETS, "all")])
    assert routes.only == "all"


@pytest.mark.parametrize("shares", [[], [5000], [10_001], [-1, 10_001], [6000, 6000]])
def test_weights_that_do_not_share_out_everything_are_refused(shares: list[int]) -> None:
    with pytest.raises(InvalidRoutes, match="add up to 10000"):
        RouteTable("s", [(share, "v") for share in shares])
