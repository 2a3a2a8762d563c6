"""The prediction log of one worker: append-only segments, written before an answer is sent.

Written by the event loop, one write(2) per tick, so that an answered prediction survives kill -9 of this process. A thread makes it
durable each second; with `sync=True` the write itself does. Only whole frames stay: a write that fell short is cut off again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tilth.core import clock
from tilth.core.errors import OutOfSpace, TilthError, Unavailable
from tilth.core.ids import new_id
from tilth.core.killpoints import reach
from tilth.wire.plane import CLOSED_SUFFIX, OPEN_SUFFIX

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 64 << 20
SEGMENT_AGE_S = 300.0
SYNC_S = 1.0
UNJOINED_BYTES = 1 << 20
"""Above this the copy that makes one write of several would cost more than they do."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LogFull(OutOfSpace):
    """No room for the prediction log. Raised by: write."""


class LogFailed(Unavailable):
    """The prediction log cannot be written for another reason. Raised by: write."""


@dataclass(slots=True)
class _Segment:
    """size: bytes of whole frames; named: whether its name in the folder is durable."""

    path: Path
    handle: int
    opened: float
    size: int = 0
    named: bool = False


class PredictionLog:
    """`write` belongs to one thread. Segments are `<worker>-<id>.log` while open, `.closed` once nobody will write to them again."""

    def __init__(
        self, folder: Path, worker: str, *, segment_bytes: int = SEGMENT_BYTES, segment_age_s: float = SEGMENT_AGE_S
    ) -> None:
        self._folder = folder
        self._worker = worker
        self._segment_bytes = segment_bytes
        self.segment_age_s = segment_age_s
        self._segment: _Segment | None = None
        self._retired: list[_Segment] = []
        self._guard = threading.Lock()
        self._closing = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._adopt_leftovers()
        self._syncer = threading.Thread(target=self._sync_each_second, name="prediction-log-sync", daemon=True)
        self._syncer.start()

    def write(self, frames: Sequence[bytes], *, sync: bool = False) -> None:
        """All frames, which may come in pieces, or none. Raises LogFull and LogFailed; the next call tries again."""
        size = sum(map(len, frames))
        pieces = frames if size > UNJOINED_BYTES else (b"".join(frames),)
        reach("before_predictions_logged")
        try:
            segment = self._current(size)
            self._append(segment, pieces)
            segment.size += size
            if sync:
                self._make_durable(segment)
        except OSError as error:
            raise _told(error) from error
        reach("after_predictions_logged")

    def rotate_if_old(self) -> None:
        """Hands on the segment of a worker that gets no more requests. Belongs to the thread that writes."""
        segment = self._segment
        if segment is not None and segment.size and clock.perf() - segment.opened >= self.segment_age_s:
            self._retire()

    def rotate(self) -> None:
        """Hands on the segment now, unless nothing stands in it. Belongs to the thread that writes."""
        if self._segment is not None and self._segment.size:
            self._retire()

    def close(self) -> None:
        """Makes everything durable and closes the segment."""
        self._closing.set()
        self._syncer.join()
        self._retire()
        self._finish_retired()

    def _current(self, more: int) -> _Segment:
        self.rotate_if_old()
        segment = self._segment
        if segment is not None:
            if not segment.size or segment.size + more <= self._segment_bytes:
                return segment
            self._retire()
        path = self._folder / f"{self._worker}-{new_id()}{OPEN_SUFFIX}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Held as long as the segment is written: whoever can take it knows that the writer is gone.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment = _Segment(path, handle, clock.perf())
        with self._guard:
            self._segment = segment
        return segment

    def _append(self, segment: _Segment, pieces: Sequence[bytes]) -> None:
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(segment.handle, rest) :]
        except OSError:
            # Cut off what was written of these frames, so that the next ones do not stand behind a torn one.
            try:
                os.ftruncate(segment.handle, segment.size)
            except OSError:
                self._retire()
            raise

    def _retire(self) -> None:
        with self._guard:
            if self._segment is not None:
                self._retired.append(self._segment)
                self._segment = None

    def _sync_each_second(self) -> None:
        while not self._closing.wait(SYNC_S):
            try:
                self._sync()
            except OSError as error:
                logger.error("the prediction log cannot be made durable: %s", error)

    def _sync(self) -> None:
        self._finish_retired()
        # A second handle: the writer may retire the segment meanwhile, and need not wait for the disk.
        with self._guard:
            segment = self._segment
            handle = os.dup(segment.handle) if segment is not None else -1
        if segment is not None:
            try:
                os.fdatasync(handle)
                self._make_name_durable(segment)
            finally:
                os.close(handle)

    def _make_durable(self, segment: _Segment) -> None:
        os.fdatasync(segment.handle)
        self._make_name_durable(segment)

    def _make_name_durable(self, segment: _Segment) -> None:
        if not segment.named:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            segment.named = True

    def _finish_retired(self) -> None:
        with self._guard:
            retired, self._retired = self._retired, []
        for segment in retired:
            self._make_durable(segment)
            reach("before_segment_closed")
            segment.path.rename(segment.path.with_suffix(CLOSED_SUFFIX))
            os.close(segment.handle)

    def _adopt_leftovers(self) -> None:
        """Segments of an earlier process of this worker that was killed are closed; a torn frame at their end is known to readers."""
        for path in self._folder.glob(f"{self._worker}-*{OPEN_SUFFIX}"):
            with contextlib.suppress(OSError), path.open("rb") as segment:
                fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.rename(path.with_suffix(CLOSED_SUFFIX))


def _told(error: OSError) -> TilthError:
    if error.errno in _FULL:
        return LogFull(f"the prediction log has no room ({error.strerror}); free space on the disk of the home")
    return LogFailed(f"the prediction log cannot be written: {error.strerror}; see the worker's log")
