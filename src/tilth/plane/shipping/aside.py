"""Segments that could not be shipped: kept beside the others, with the reason, until somebody has them tried again."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import msgspec

from tilth.core import clock
from tilth.plane.shipping.segments import Segment, closed_segments
from tilth.plane.whole_files import write_whole
from tilth.wire.plane import REFUSED_FOLDER
from tilth.wire.shipping import RefusedSegment

logger = logging.getLogger(__name__)

TOLD = 100
"""Segments that a status names; the oldest."""
MOST_WHY_CHARS = 500


class Aside:
    """Blocking."""

    def __init__(self, home: Path) -> None:
        self._folder = home / REFUSED_FOLDER

    def put(self, segment: Segment, why: str, deployment_ids: Collection[str]) -> None:
        """Raises OSError."""
        note = RefusedSegment(segment.id, segment.size, clock.now(), why[:MOST_WHY_CHARS], tuple(sorted(deployment_ids)))
        place = self._folder / segment.path.name
        # First the reason: without it nobody would know what the segment does there.
        write_whole(_note_of(place), msgspec.json.encode(note))
        segment.path.rename(place)
        logger.error("segment %s cannot be shipped and was set aside in %s: %s", segment.id, self._folder, note.why)

    def segments(self) -> tuple[RefusedSegment, ...]:
        if not self._folder.is_dir():
            return ()
        return tuple(map(_read, closed_segments(self._folder)[:TOLD]))


def _note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _read(segment: Segment) -> RefusedSegment:
    try:
        return msgspec.json.decode(_note_of(segment.path).read_bytes(), type=RefusedSegment)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return RefusedSegment(segment.id, segment.size, 0, "the reason was lost")
