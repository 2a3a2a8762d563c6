"""What the control process does for kept predictions: asks for a flush of the home's segments, and lets go of what is over its time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeVar

import msgspec

from tilth.backends.sql import Database
from tilth.core.clock import Clock, Millis
from tilth.domains.serving.actions import predictions as actions
from tilth.domains.serving.queries import predictions as queries
from tilth.wire.plane import CLOSED_SUFFIX, OPEN_SUFFIX, PREDICTIONS_FOLDER, REFUSED_FOLDER
from tilth.wire.shipping import FLUSH_PATH, SHADOW_STATUS_PATH, SHIPPER_LEASE_MS, SHIPPER_STATUS_PATH, ShadowStatus, ShipperStatus

log = logging.getLogger("tilth.serving")

NEVER = 1 << 53

T = TypeVar("T", ShipperStatus, ShadowStatus)


class ShippingDesk:
    """The control process's view of the shipper of its home. Blocking: a few look-ups in folders."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock

    def ask_for_flush(self) -> Millis:
        """Workers close their segments and the shipper ships them within seconds. Returns the moment of the request."""
        path = self._home / FLUSH_PATH
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        moment = self._clock()
        path.write_text(str(moment))
        return moment

    def waiting(self, until: Millis) -> int:
        """Segments that were begun at or before `until`, hold something and are not shipped yet."""
        folder = self._home / PREDICTIONS_FOLDER
        if not folder.is_dir():
            return 0
        segments = [path for path in folder.iterdir() if path.suffix in (OPEN_SUFFIX, CLOSED_SUFFIX)]
        return sum(1 for path in segments if _begun(path) <= until and not _is_empty(path))

    def take_up_refused(self) -> int:
        """Segments that were set aside stand among the others again; how many."""
        found = sorted((self._home / REFUSED_FOLDER).glob(f"*{CLOSED_SUFFIX}"))
        for path in found:
            path.rename(self._home / PREDICTIONS_FOLDER / path.name)
            path.with_suffix(".json").unlink(missing_ok=True)
        return len(found)

    def status(self) -> ShipperStatus | None:
        """What the shipper says of itself; None where none is there."""
        return self._said(SHIPPER_STATUS_PATH, ShipperStatus)

    def shadow_status(self) -> ShadowStatus | None:
        """What the process of the shadows says of itself; None where none is there."""
        return self._said(SHADOW_STATUS_PATH, ShadowStatus)

    def _said(self, path: str, kind: type[T]) -> T | None:
        """None also for what is older than the lease: who wrote it is gone."""
        try:
            found = msgspec.json.decode((self._home / path).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return found if self._clock() - found.written < SHIPPER_LEASE_MS else None


def _begun(segment: Path) -> int:
    """The id of a segment begins with the moment it was made, in ms."""
    id_ = segment.stem.rpartition("-")[2]
    return int(id_[:12], 16) if len(id_) == 32 else NEVER


def _is_empty(segment: Path) -> bool:
    """As a disk that was full leaves it: it is closed and shipped once something was written to it."""
    try:
        return not segment.stat().st_size
    except FileNotFoundError:
        # Closed or shipped in this moment: the next look tells.
        return False


async def keep_to_time(database: Database, clock: Clock) -> int:
    """Drops files that every deployment has kept long enough; how many rows went. Call it each hour."""
    gone = 0
    for deployment in await database.read(queries.deployments_with_files_across_projects):
        rows = await database.write(lambda tx, found=deployment: actions.drop_expired(tx, found, clock()))  # type: ignore[misc]
        gone += rows
    moment = Millis(clock() - actions.SEGMENTS_KEPT)
    await database.write(lambda tx: queries.forget_segments_across_projects(tx, moment))
    if gone:
        log.info("let go of %d predictions that were over their time", gone)
    return gone
