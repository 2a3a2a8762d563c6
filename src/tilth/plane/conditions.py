"""How one loaded version is, as a worker's status says it."""

from __future__ import annotations

from tilth.plane.serving import LoadedVersion
from tilth.wire.plane import VersionCondition, VersionStatus


def condition_of(version: LoadedVersion) -> VersionStatus:
    lane, resident = version.lane, version.resident
    pool = lane.pool
    condition: VersionCondition = "ready"
    error = pool.trouble if pool is not None else ""
    if resident is not None and not resident.there:
        condition = "unloaded"
    elif lane.stuck:
        condition, error = "stuck", "a prediction does not end, and others are refused until it does"
    elif pool is not None and not pool.size:
        condition = "restarting"
    return VersionStatus(
        key=version.key,
        condition=condition,
        engine=version.engine,
        error=error,
        lane="process" if pool is not None else "inline" if version.inline else "thread",
        processes=pool.size if pool is not None else 0,
        restarts=pool.restarts if pool is not None else 0,
        memory_bytes=pool.memory_bytes() if pool is not None else resident.size if resident is not None and resident.there else 0,
        remark=version.remark,
    )
