"""How many processes a version gets: pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.plane.scaling import LONGEST_DELAY_S, Demand, restart_delay_s, wanted_processes

SECONDS = st.floats(0, 1000)


@pytest.mark.parametrize(
    ("demand", "wanted"),
    [
        (Demand(processes=1, starting=0, waited_s=0.2, idle_s=0), 2),
        (Demand(processes=2, starting=1, waited_s=5.0, idle_s=0), 2),  # one is on its way
        (Demand(processes=4, starting=0, waited_s=5.0, idle_s=0), 4),  # no more are allowed
        (Demand(processes=3, starting=0, waited_s=0.05, idle_s=0), 3),
        (Demand(processes=3, starting=0, waited_s=0, idle_s=61), 2),
        (Demand(processes=1, starting=0, waited_s=0, idle_s=1000), 1),
        (Demand(processes=0, starting=0, waited_s=0, idle_s=0), 1),  # the last one ended
        (Demand(processes=6, starting=0, waited_s=9, idle_s=0), 4),  # the bounds were changed
    ],
)
def test_processes_follow_how_long_requests_wait(demand: Demand, wanted: int) -> None:
    assert wanted_processes(demand, 1, 4) == wanted


@given(st.integers(0, 10), st.integers(0, 10), SECONDS, SECONDS, st.integers(1, 5), st.integers(0, 5))
def test_the_bounds_hold_and_steps_within_them_are_single(
    processes: int, starting: int, waited: float, idle: float, minimum: int, more: int
) -> None:
    wanted = wanted_processes(Demand(processes, min(starting, processes), waited, idle), minimum, minimum + more)
    assert minimum <= wanted <= minimum + more
    if minimum <= processes <= minimum + more:
        assert abs(wanted - processes) <= 1


@given(st.integers(1, 10_000))
def test_pauses_between_restarts_grow_to_a_bound(failures: int) -> None:
    assert 0 < restart_delay_s(failures) <= restart_delay_s(failures + 1) <= LONGEST_DELAY_S
