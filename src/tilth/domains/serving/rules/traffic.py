"""What versions did since a moment, from counters that only grow while a worker process lives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilth.core.clock import Millis
from tilth.domains.serving.rules.liveness import percentile_ms
from tilth.domains.serving.types import Reading, Traffic
from tilth.wire.plane import VersionTally, WorkerStatus
from tilth.wire.rollouts import Side

Tallies = dict[str, VersionTally]


def follow(traffic: Traffic, workers: Iterable[WorkerStatus], deployment_id: str, since: Millis) -> Traffic:
    """The traffic with what the workers say now.

    A process that is met for the first time and began after `since` counted nothing but this window; of an older one the first reading
    is where the window begins. What a process had counted before another one took its name is kept.
    """
    readings = {reading.worker: reading for reading in traffic.readings}
    gone = dict(traffic.gone)
    for worker in workers:
        counted = _tallies(worker, deployment_id)
        known = readings.get(worker.worker)
        if known is not None and known.started != worker.started:
            gone = _added(gone, _window(known))
            known = None
        base = known.base if known is not None else {} if worker.started >= since else counted
        # A deployment that a worker does not list just now (it is loading) has not lost what it counted.
        last = counted or (known.last if known is not None else {})
        readings[worker.worker] = Reading(worker.worker, worker.started, base, last)
    return Traffic(tuple(readings[name] for name in sorted(readings)), gone)


def seen(traffic: Traffic, key: str) -> VersionTally:
    """What the version did within the window, over all processes."""
    total = traffic.gone.get(key, VersionTally(key))
    for reading in traffic.readings:
        total = _plus(total, _window(reading).get(key, VersionTally(key)))
    return total


def side(version: int, tally: VersionTally) -> Side:
    return Side(
        version=version,
        requests=tally.requests,
        rows=tally.rows,
        errors=tally.errors,
        refused=tally.refused,
        p50_ms=percentile_ms(tally.latency_buckets, 0.5),
        p99_ms=percentile_ms(tally.latency_buckets, 0.99),
    )


def _tallies(worker: WorkerStatus, deployment_id: str) -> Tallies:
    for status in worker.deployments:
        if status.id == deployment_id:
            return {tally.key: _trimmed(tally) for tally in status.tallies}
    return {}


def _trimmed(tally: VersionTally) -> VersionTally:
    """Without the empty buckets above the slowest request: it is stored every two seconds."""
    buckets = list(tally.latency_buckets)
    while buckets and not buckets[-1]:
        buckets.pop()
    return VersionTally(
        key=tally.key,
        requests=tally.requests,
        rows=tally.rows,
        errors=tally.errors,
        refused=tally.refused,
        latency_buckets=tuple(buckets),
        scores=tally.scores,
        missing_scores=tally.missing_scores,
    )


def _window(reading: Reading) -> Tallies:
    return {key: _minus(last, reading.base.get(key, VersionTally(key))) for key, last in reading.last.items()}


def _added(into: Tallies, more: Tallies) -> Tallies:
    return into | {key: _plus(into.get(key, VersionTally(key)), tally) for key, tally in more.items()}


def _plus(one: VersionTally, other: VersionTally) -> VersionTally:
    return _combined(one, other, 1)


def _minus(one: VersionTally, other: VersionTally) -> VersionTally:
    return _combined(one, other, -1)


def _combined(one: VersionTally, other: VersionTally, sign: int) -> VersionTally:
    buckets = sorted(one.scores.keys() | other.scores.keys())
    scores = {bucket: _least(one.scores.get(bucket, 0) + sign * other.scores.get(bucket, 0)) for bucket in buckets}
    return VersionTally(
        key=one.key,
        requests=_least(one.requests + sign * other.requests),
        rows=_least(one.rows + sign * other.rows),
        errors=_least(one.errors + sign * other.errors),
        refused=_least(one.refused + sign * other.refused),
        latency_buckets=_buckets(one.latency_buckets, other.latency_buckets, sign),
        scores={bucket: count for bucket, count in scores.items() if count},
        missing_scores=_least(one.missing_scores + sign * other.missing_scores),
    )


def _buckets(one: Sequence[int], other: Sequence[int], sign: int) -> tuple[int, ...]:
    length = max(len(one), len(other))
    pairs = zip([*one, *[0] * (length - len(one))], [*other, *[0] * (length - len(other))], strict=True)
    return tuple(_least(a + sign * b) for a, b in pairs)


def _least(count: int) -> int:
    """Counters only grow; a worker that says otherwise must not make negative requests."""
    return max(count, 0)
