"""The only place that reads time. Wall time is an int of milliseconds since 1970-01-01 UTC, everywhere, also in SQL and JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NewType

Millis = NewType("Millis", int)
"""Milliseconds: a moment (since the epoch, UTC) or a span."""

Clock = Callable[[], Millis]
"""Whatever needs the present moment takes a Clock, so that a test can hand it a fake one."""

SECOND = Millis(1000)
MINUTE = Millis(60 * SECOND)
HOUR = Millis(60 * MINUTE)
DAY = Millis(24 * HOUR)


def now() -> Millis:
    """This moment, in milliseconds since the epoch."""
    return Millis(time.time_ns() // 1_000_000)


def monotonic() -> float:
    """Seconds from an arbitrary start; never goes backwards. For spans and deadlines."""
    return time.monotonic()


def perf() -> float:
    """Seconds from an arbitrary start, at the finest resolution. For measuring short spans."""
    return time.perf_counter()


def iso(moment: Millis) -> str:
    """`2013-01-31T05:00:00.123Z`."""
    whole = datetime.fromtimestamp(moment / 1000, UTC)
    return whole.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment % 1000:03d}Z"
