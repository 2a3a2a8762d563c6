"""The versions of a deployment side by side: the share of each, and what it did since the model servers started. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tilth.domains.serving.rules.liveness import merge, percentile_ms
from tilth.wire.plane import VersionTally, WorkerStatus
from tilth.wire.serving import DeploymentView

MOST_BEFORE = 3


@dataclass(frozen=True, slots=True)
class VersionLine:
    """share: of the requests, 0 to 1; None: it gets none any more. errors: 5xx; refused: 4xx. Latencies in ms, None without requests."""

    version: int
    share: float | None
    requests: int
    errors: int
    refused: int
    p50_ms: float | None
    p99_ms: float | None


def version_lines(found: DeploymentView, workers: Sequence[WorkerStatus]) -> list[VersionLine]:
    """What is served, the largest share first; then the newest of what was served before, to be held against it."""
    tallies: dict[int, list[VersionTally]] = defaultdict(list)
    for worker in workers:
        for status in worker.deployments:
            for tally in status.tallies if status.id == found.id else ():
                model, _, version = tally.key.rpartition("/")
                if model == found.model:
                    tallies[int(version)].append(tally)
    shares = {route.version: route.share for route in sorted(found.routes, key=lambda route: -route.share)}
    before = sorted(set(tallies) - set(shares), reverse=True)[:MOST_BEFORE]
    return [_line(version, shares.get(version), tallies[version]) for version in [*shares, *before]]


def _line(version: int, share: float | None, tallies: Sequence[VersionTally]) -> VersionLine:
    buckets = merge([tally.latency_buckets for tally in tallies])
    return VersionLine(
        version=version,
        share=share,
        requests=sum(tally.requests for tally in tallies),
        errors=sum(tally.errors for tally in tallies),
        refused=sum(tally.refused for tally in tallies),
        p50_ms=percentile_ms(buckets, 0.5),
        p99_ms=percentile_ms(buckets, 0.99),
    )
