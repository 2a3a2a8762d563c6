"""How soon a worker hands on the segment it writes: at once when somebody asks, within seconds where a shipper waits for it."""

from __future__ import annotations

from pathlib import Path

from tilth.core import clock
from tilth.plane.prediction_log import SEGMENT_AGE_S, PredictionLog
from tilth.wire.shipping import FLUSH_PATH, SHIPPER_LEASE_MS, SHIPPER_STATUS_PATH

SHIPPED_AGE_S = 5.0
"""Of a segment while a shipper is there. Its files are small then, and joined later."""


class Pace:
    """Two looks at files a second; belongs to the thread that writes the log."""

    def __init__(self, home: Path) -> None:
        self._status = home / SHIPPER_STATUS_PATH
        self._flush = home / FLUSH_PATH
        self._flushed = _changed_ms(self._flush)

    def set(self, log: PredictionLog) -> None:
        there = clock.now() - _changed_ms(self._status) < SHIPPER_LEASE_MS
        log.segment_age_s = SHIPPED_AGE_S if there else SEGMENT_AGE_S
        asked = _changed_ms(self._flush)
        if asked != self._flushed:
            self._flushed = asked
            log.rotate()
        else:
            log.rotate_if_old()


def _changed_ms(path: Path) -> float:
    """0 where there is no such file."""
    try:
        return path.stat().st_mtime_ns / 1e6
    except OSError:
        return 0.0
