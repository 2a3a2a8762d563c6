"""The segments of a home: which are closed, and those whose writer is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tilth.core import clock
from tilth.wire import predictions
from tilth.wire.plane import CLOSED_SUFFIX, OPEN_SUFFIX
from tilth.wire.predictions import PredictionFrame

LEFT_FOR_MS = 10_000
"""A younger segment may be one whose writer has opened it and not locked it yet."""
_NAME = re.compile(r".+-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Segment:
    """id: unique over all homes, and sorts by the moment the segment was begun. size: bytes."""

    id: str
    path: Path
    size: int

    def frames(self) -> Iterator[PredictionFrame]:
        with self.path.open("rb") as stream:
            yield from predictions.iterate(stream)

    def torn_bytes(self) -> int:
        """Behind the last whole frame: what a kill or a power cut left."""
        with self.path.open("rb") as stream:
            return predictions.scan(stream).torn_bytes


def closed_segments(folder: Path) -> list[Segment]:
    """Oldest first."""
    found = []
    for path in folder.glob(f"*{CLOSED_SUFFIX}"):
        match = _NAME.fullmatch(path.stem)
        if match is not None:
            found.append(Segment(match[1], path, path.stat().st_size))
    return sorted(found, key=lambda segment: segment.id)


def close_left_ones(folder: Path) -> int:
    """Closes open segments that nobody writes any more: their worker was killed and came not back. How many."""
    closed = 0
    for path in folder.glob(f"*{OPEN_SUFFIX}"):
        # A writer holds the lock as long as it lives.
        with contextlib.suppress(OSError), path.open("rb") as segment:
            # A moment in the future is that of a clock which was set back.
            if abs(clock.now() - os.fstat(segment.fileno()).st_mtime * 1000) < LEFT_FOR_MS:
                continue
            fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.rename(path.with_suffix(CLOSED_SUFFIX))
            closed += 1
    return closed
