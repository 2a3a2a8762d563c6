"""One round after another: closed segments become files that control knows, and only then are they deleted.

A shipment is announced in one transaction of the control process, which remembers its segments. Killed before it, nothing has happened
but bytes that nobody claims; killed after it, the segment is found again, is told to be known, and is deleted: no row is lost or doubled.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from tilth.core.errors import Invalid, TilthError
from tilth.core.killpoints import reach
from tilth.plane.fetching import ControlUnreachable
from tilth.plane.protocols.reading import Read
from tilth.plane.shipping.aside import Aside
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.keeping import is_kept
from tilth.plane.shipping.rows import Rows, day_of
from tilth.plane.shipping.scores import AT_ONCE, Scores
from tilth.plane.shipping.segments import Segment, closed_segments
from tilth.plane.shipping.versions import KnownVersion, Versions
from tilth.wire.plane import PREDICTIONS_FOLDER
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import Shipment, ShippedFile, ShippedSegment

logger = logging.getLogger(__name__)

BATCH_BYTES = 64 << 20
BATCH_SEGMENTS = 200
FILE_CELLS = 2_000_000
"""Values that wait in memory for one file, some 32 bytes each."""
TRIES = 3
"""A segment that is refused so often on its own is set aside, so that the later ones come through."""
_NOTHING = Read({}, {})


class Shipper:
    """Blocking. shipped, undecoded, dropped: rows since the start, by what became of them; torn_bytes: behind the last whole frames."""

    def __init__(self, home: Path, control: Control, aside: Aside) -> None:
        self._folder = home / PREDICTIONS_FOLDER
        self._control = control
        self._aside = aside
        self._versions = Versions(home, control)
        self._refusals: dict[str, int] = {}
        self.shipped = self.undecoded = self.dropped = self.torn_bytes = 0

    def ship_next(self) -> bool:
        """Ships some of the closed segments, oldest first; whether there were any.

        Raises ControlUnreachable, and why the segments were refused as long as they may come through another time; then nothing is
        deleted.
        """
        waiting = closed_segments(self._folder)
        # One that was refused goes alone, for only so it is known to be the one.
        batch = waiting[:1] if waiting and waiting[0].id in self._refusals else _batch(waiting)
        if not batch:
            return False
        self._versions.forget()
        load = _Load(self._control, self._versions)
        try:
            self._ship(batch, load)
        except (ControlUnreachable, OSError):
            raise
        except Exception as refusal:  # a segment holds what models and their users wrote: reading it may raise anything
            if not self._set_aside(batch, refusal, load.deployment_ids):
                raise
        return True

    def _set_aside(self, batch: Sequence[Segment], refusal: Exception, deployment_ids: Collection[str]) -> bool:
        """Whether it was time to."""
        for segment in batch:
            self._refusals[segment.id] = self._refusals.get(segment.id, 0) + (len(batch) == 1)
        if self._refusals[batch[0].id] < TRIES:
            return False
        why = str(refusal) if isinstance(refusal, TilthError) else f"{type(refusal).__name__}: {refusal}"
        self._aside.put(batch[0], why, deployment_ids)
        return True

    def _ship(self, batch: Sequence[Segment], load: _Load) -> None:
        segments = [load.add(segment) for segment in batch]
        files = load.finish()
        reach("predictions_uploaded")
        answer = self._control.ship(Shipment(tuple(segments), tuple(files)))
        reach("predictions_shipped")
        if answer.known:
            logger.info("%d segments were shipped before; deleting them", len(answer.known))
        else:
            self._count(segments, files)
        # Where some were known, the others come again in the next round.
        self._delete([segment for segment in batch if not answer.known or segment.id in answer.known])

    def _count(self, segments: Sequence[ShippedSegment], files: Sequence[ShippedFile]) -> None:
        self.shipped += sum(file.rows for file in files)
        self.undecoded += sum(segment.undecoded for segment in segments)
        self.dropped += sum(segment.dropped for segment in segments)
        self.torn_bytes += sum(segment.torn_bytes for segment in segments)
        for segment in segments:
            if segment.torn_bytes:
                logger.warning(
                    "segment %s ended with %d bytes that are no whole frame; they are lost", segment.id, segment.torn_bytes
                )
            if segment.undecoded or segment.dropped:
                logger.warning(
                    "segment %s: %d rows could not be read and are kept without values, %d belong to nothing that is left",
                    segment.id,
                    segment.undecoded,
                    segment.dropped,
                )

    def _delete(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self._refusals.pop(segment.id, None)
            segment.path.unlink(missing_ok=True)
            reach("segment_deleted")
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Load:
    """The rows of one shipment on their way into files. deployment_ids: of those whose frames were read."""

    def __init__(self, control: Control, versions: Versions) -> None:
        self._control = control
        self._versions = versions
        self._rows: dict[tuple[str, str, str, bool], Rows] = {}
        self._scores: dict[str, Scores] = {}
        self._files: list[ShippedFile] = []
        self.deployment_ids: set[str] = set()

    def add(self, segment: Segment) -> ShippedSegment:
        frames = undecoded = dropped = 0
        for frame in segment.frames():
            frames += 1
            self.deployment_ids.add(frame.deployment_id)
            known = self._versions.find(frame.deployment_id, frame.version) if frame.rows else None
            if known is None:
                dropped += frame.rows
                continue
            read = _read(frame, known)
            undecoded += frame.rows if read is None else 0
            self._add(frame, known, read or _NOTHING)
        return ShippedSegment(segment.id, frames, undecoded, dropped, segment.torn_bytes())

    def finish(self) -> list[ShippedFile]:
        """Everything that still waits is uploaded."""
        for rows in self._rows.values():
            self._upload(rows)
        for scores in self._scores.values():
            self._send(scores)
        return self._files

    def _add(self, frame: PredictionFrame, known: KnownVersion, read: Read) -> None:
        if known.facts.policy.scores and not frame.shadow:
            scores = self._scores.setdefault(frame.deployment_id, Scores(frame.deployment_id))
            scores.add(frame, known, *read)
            if len(scores) >= AT_ONCE:
                self._send(scores)
        if not is_kept(frame.prediction_id, known.facts.policy):
            return
        layout = known.bare_layout if read is _NOTHING else known.layout
        place = (frame.deployment_id, day_of(frame.moment), layout.digest, frame.shadow)
        rows = self._rows.get(place)
        if rows is None:
            rows = self._rows[place] = Rows(place[0], place[1], layout, shadow=frame.shadow)
        rows.add(frame, known, *read)
        if rows.cells >= FILE_CELLS:
            self._upload(self._rows.pop(place))

    def _send(self, scores: Scores) -> None:
        for message in scores.take():
            self._control.keep_scores(message)

    def _upload(self, rows: Rows) -> None:
        content = rows.parquet()
        self._files.append(rows.announced(self._control.upload(content), len(content)))


def _read(frame: PredictionFrame, known: KnownVersion) -> Read | None:
    """None where the values cannot be read: the document is gone, or the frame is not of its signature."""
    try:
        reader = known.reader
        if reader is None:
            return None
        read = reader.columns_of(frame)
    except Invalid as error:
        logger.warning("prediction %s of %s cannot be read: %s", frame.prediction_id, frame.version, error)
        return None
    for columns in read:
        for values in columns.values():
            if len(values) != frame.rows:
                return None
    return read


def _batch(segments: Sequence[Segment]) -> list[Segment]:
    chosen: list[Segment] = []
    size = 0
    for segment in segments[:BATCH_SEGMENTS]:
        size += segment.size
        if chosen and size > BATCH_BYTES:
            break
        chosen.append(segment)
    return chosen
