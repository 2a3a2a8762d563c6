"""The life of the shipper: a round each second or two, a word about it in the home, patience while control is away."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane.shipping.aside import Aside
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.segments import close_left_ones, closed_segments
from tilth.plane.whole_files import write_whole
from tilth.wire.plane import PREDICTIONS_FOLDER
from tilth.wire.shipping import SHIPPER_STATUS_PATH, ShipperStatus

if TYPE_CHECKING:
    from tilth.plane.shipping.shipper import Shipper

logger = logging.getLogger(__name__)

EVERY_S = 1.0
JOIN_EVERY_S = 60.0
LONGEST_PAUSE_S = 10.0
"""After failures; the lease of the status is longer."""


class Shipping:
    """Blocking, one thread. numpy and polars come with the first segment: where nobody predicts, the process stays small."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / PREDICTIONS_FOLDER
        self._control = Control(home)
        self._aside = Aside(home)
        self._shipper: Shipper | None = None
        self._started = clock.now()
        self._next_join = clock.monotonic() + JOIN_EVERY_S / 4

    def run(self, stopped: threading.Event) -> None:
        """Until `stopped` is set: at the latest after the batch that is under way."""
        failures = 0
        self._close_left_ones()
        while not stopped.is_set():
            error = ""
            try:
                self._round(stopped)
                failures = 0
            except TilthError as failure:
                failures += 1
                error = str(failure)
                if failures == 1:
                    logger.error("predictions wait to be shipped: %s", error)
            except Exception as failure:  # the outermost loop of this process: what waits on disk is worth another try
                failures += 1
                error = f"{type(failure).__name__}: {failure}"
                logger.exception("a round of shipping failed")
            self._tell(error)
            stopped.wait(min(LONGEST_PAUSE_S, EVERY_S * 2 ** min(failures, 8)) if failures else EVERY_S)

    def _round(self, stopped: threading.Event) -> None:
        if self._shipper is not None or closed_segments(self._folder):
            shipper = self._at_work()
            while shipper.ship_next() and not stopped.is_set():
                self._tell("")
        if clock.monotonic() >= self._next_join:
            self._next_join = clock.monotonic() + JOIN_EVERY_S
            self._close_left_ones()
            self._join(stopped)

    def _join(self, stopped: threading.Event) -> None:
        """While there is something to join."""
        if not self._control.compaction().files:
            return
        from tilth.plane.shipping.joining import join_next

        while not stopped.is_set() and join_next(self._control):
            self._tell("")

    def _at_work(self) -> Shipper:
        if self._shipper is None:
            from tilth.plane.shipping.shipper import Shipper

            self._shipper = Shipper(self._home, self._control, self._aside)
        return self._shipper

    def _close_left_ones(self) -> None:
        """Of workers that were killed and not started again."""
        if self._folder.is_dir() and (closed := close_left_ones(self._folder)):
            logger.info("closed %d segments that nobody wrote any more", closed)

    def _tell(self, error: str) -> None:
        shipper = self._shipper
        status = ShipperStatus(
            pid=os.getpid(),
            started=self._started,
            written=clock.now(),
            shipped=shipper.shipped if shipper else 0,
            undecoded=shipper.undecoded if shipper else 0,
            dropped=shipper.dropped if shipper else 0,
            torn_bytes=shipper.torn_bytes if shipper else 0,
            waiting_bytes=sum(segment.size for segment in closed_segments(self._folder)),
            error=error,
            refused=self._aside.segments(),
        )
        try:
            write_whole(self._home / SHIPPER_STATUS_PATH, msgspec.json.encode(status))
        except OSError as failure:
            logger.error("the status cannot be written: %s", failure)
