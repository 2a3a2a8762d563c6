"""Counts of one deployment in one worker: requests, rows, errors and a latency histogram, whole life and last minute.

And of each of its versions, from which rollouts and A/B tests are judged: `plane.counting`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from tilth.plane.counting import VersionCounts
from tilth.wire.plane import LATENCY_BOUNDS_US

BUCKET_COUNT = len(LATENCY_BOUNDS_US) + 1
SLOT_S = 5
SLOTS = 12
WINDOW_S = float(SLOT_S * SLOTS)
MOST_VERSIONS = 50
"""A deployment that gets a new version each day would else tell of hundreds."""


class Tally:
    """Lives as long as the worker knows the deployment, across its generations.

    errors: answers that the server or the model is to blame for (5xx); refused: those that the caller is (4xx). `observe` is on the hot
    path: one bisection and two increments.
    """

    __slots__ = (
        "_errors_before",
        "_slot",
        "_slots",
        "buckets",
        "errors",
        "large_pending",
        "log_failures",
        "queued_rows",
        "refused",
        "requests",
        "rows",
        "versions",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.errors = 0
        self.refused = 0
        self.log_failures = 0
        self.queued_rows = 0
        self.large_pending = 0
        self.buckets = [0] * BUCKET_COUNT
        self.versions: dict[str, VersionCounts] = {}
        self._slots = [[0] * BUCKET_COUNT for _ in range(SLOTS)]
        self._errors_before = [0] * SLOTS
        self._slot = 0

    def observe(self, seconds: float, now: float) -> int:
        """seconds: from the request's last byte to its answer; now: core.clock.perf(). Returns the bucket."""
        bucket = bisect_left(LATENCY_BOUNDS_US, seconds * 1e6)
        self.buckets[bucket] += 1
        self._present(now)[bucket] += 1
        return bucket

    def of(self, version: str) -> VersionCounts:
        """version: its key."""
        counts = self.versions.get(version)
        if counts is None:
            counts = self.versions[version] = VersionCounts(BUCKET_COUNT)
        return counts

    def forget_versions(self, wanted: Collection[str]) -> None:
        """Beyond MOST_VERSIONS of them, those that nobody wants any more: each is told of every second. wanted: keys."""
        if len(self.versions) > MOST_VERSIONS:
            self.versions = {key: counts for key, counts in self.versions.items() if key in wanted}

    def window(self, now: float) -> tuple[int, ...]:
        """Counts per bucket over the last 55 to 60 s."""
        self._present(now)
        return tuple(map(sum, zip(*self._slots, strict=True)))

    def window_errors(self, now: float) -> int:
        """Errors over the same time, for somebody who looks each second: those since the last look count as of then."""
        self._present(now)
        return self.errors - self._errors_before[(self._slot + 1) % SLOTS]

    def _present(self, now: float) -> list[int]:
        slot = int(now) // SLOT_S
        if slot != self._slot:
            for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
                self._slots[passed % SLOTS] = [0] * BUCKET_COUNT
                self._errors_before[passed % SLOTS] = self.errors
            self._slot = slot
        return self._slots[slot % SLOTS]
