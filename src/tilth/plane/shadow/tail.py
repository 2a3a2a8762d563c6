"""Follows the log of every worker while it is written: each segment from where it was left, open ones and closed ones.

A segment that was opened here stays readable when the shipper deletes it, so that the two need not wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tilth.wire import predictions
from tilth.wire.plane import CLOSED_SUFFIX, OPEN_SUFFIX
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import SHADOW_WORKER

MOST_BEHIND_BYTES = 256 << 20
"""Above this the oldest is left out: a shadow that is too slow must not hold deleted segments on the disk for ever."""


@dataclass(slots=True)
class _Open:
    """id: of the segment. path: where it stood when it was opened."""

    id: str
    path: Path
    stream: BinaryIO

    def unread(self) -> int:
        return os.fstat(self.stream.fileno()).st_size - self.stream.tell()

    def is_over(self) -> bool:
        """Nobody will write to it again."""
        return not self.path.exists() or self.path.suffix == CLOSED_SUFFIX


class Tail:
    """places: where each segment was left by an earlier process, by id; other segments are read from their beginning."""

    def __init__(self, folder: Path, places: dict[str, int]) -> None:
        self._folder = folder
        self._left = dict(places)
        self._open: dict[str, _Open] = {}
        self._done: set[str] = set()
        self.dropped_bytes = 0

    def frames(self) -> Iterator[PredictionFrame]:
        """What is new, oldest segment first; ends where nothing more is written yet."""
        self._look()
        self._drop_what_is_too_far_behind()
        for segment in sorted(self._open.values(), key=lambda segment: segment.id):
            over = segment.is_over()
            yield from _whole_frames(segment.stream)
            if over:
                # Whatever is left behind the last whole frame was torn.
                self._close(segment)

    def behind_bytes(self) -> int:
        return sum(segment.unread() for segment in self._open.values())

    def places(self) -> dict[str, int]:
        """How far each segment that may still be found was read."""
        reading = {id_: segment.stream.tell() for id_, segment in self._open.items()}
        return self._left | reading | dict.fromkeys(self._done & self._paths().keys(), 1 << 60)

    def close(self) -> None:
        for segment in list(self._open.values()):
            segment.stream.close()
        self._open.clear()

    def _look(self) -> None:
        there = self._paths()
        self._done &= there.keys()
        self._left = {id_: place for id_, place in self._left.items() if id_ in there}
        for id_, path in there.items():
            if id_ in self._open:
                self._open[id_].path = path
            elif id_ not in self._done:
                self._take(id_, path)

    def _take(self, id_: str, path: Path) -> None:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            # Renamed or shipped between the look and now; renamed, it is found the next time.
            return
        left = self._left.pop(id_, 0)
        if left > os.fstat(stream.fileno()).st_size:
            self._done.add(id_)
            stream.close()
            return
        stream.seek(left)
        self._open[id_] = _Open(id_, path, stream)

    def _drop_what_is_too_far_behind(self) -> None:
        for segment in sorted(self._open.values(), key=lambda segment: segment.id):
            if self.behind_bytes() <= MOST_BEHIND_BYTES:
                return
            self.dropped_bytes += segment.unread()
            segment.stream.seek(0, os.SEEK_END)

    def _close(self, segment: _Open) -> None:
        segment.stream.close()
        self._open.pop(segment.id)
        self._done.add(segment.id)

    def _paths(self) -> dict[str, Path]:
        """By id of the segment, those of workers alone."""
        if not self._folder.is_dir():
            return {}
        found = {}
        for path in self._folder.iterdir():
            worker, _, id_ = path.stem.rpartition("-")
            if path.suffix in (OPEN_SUFFIX, CLOSED_SUFFIX) and worker != SHADOW_WORKER:
                found[id_] = path
        return found


def _whole_frames(stream: BinaryIO) -> Iterator[PredictionFrame]:
    """Frames up to the first that is not whole (yet); the stream stands behind the last whole one."""
    place = stream.tell()
    for frame in predictions.iterate(stream):
        place = stream.tell()
        yield frame
        # The consumer may have been slow; the position is its own.
        stream.seek(place)
    stream.seek(place)
