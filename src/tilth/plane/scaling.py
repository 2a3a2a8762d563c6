"""How many processes a version should have, from how long its requests wait. Pure."""

from __future__ import annotations

from dataclasses import dataclass

GROW_AFTER_WAIT_S = 0.1
"""A request that waited so long means that one more process would have been of use."""
SHRINK_AFTER_IDLE_S = 60.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 30.0
HEALTHY_S = 30.0


@dataclass(frozen=True, slots=True)
class Demand:
    """processes: those that run or start. starting: of them, not ready yet. waited_s: how long the oldest waiting request waits.
    idle_s: how long the least used process has had nothing to do."""

    processes: int
    starting: int
    waited_s: float
    idle_s: float


def wanted_processes(demand: Demand, minimum: int, maximum: int) -> int:
    """One more while requests wait and none is on its way already; one less when one had nothing to do for a minute."""
    if demand.processes < minimum:
        return minimum
    if demand.processes > maximum:
        return maximum
    if demand.waited_s >= GROW_AFTER_WAIT_S and not demand.starting:
        return min(demand.processes + 1, maximum)
    if demand.waited_s == 0 and not demand.starting and demand.idle_s >= SHRINK_AFTER_IDLE_S:
        return max(demand.processes - 1, minimum)
    return demand.processes


def restart_delay_s(failures: int) -> float:
    """Seconds before a process is started again after it ended `failures` (>= 1) times in a row."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))
