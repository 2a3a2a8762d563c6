"""The life of the shipper: a round each second or two, a word about it in the home, patience while control is away."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import msgspec

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.joining import join_next
from tilth.plane.shipping.shipper import Shipper
from tilth.wire.shipping import SHIPPER_STATUS_PATH, ShipperStatus

logger = logging.getLogger(__name__)

EVERY_S = 1.0
JOIN_EVERY_S = 60.0
LONGEST_PAUSE_S = 10.0
"""After failures; the lease of the status is longer."""


def run(home: Path, stopped: threading.Event, started: int) -> None:
    """Until `stopped` is set: at the latest after the batch that is under way."""
    control = Control(home)
    shipper = Shipper(home, control)
    next_join = clock.monotonic() + JOIN_EVERY_S / 4
    failures = 0
    shipper.close_left_ones()
    while not stopped.is_set():
        error = ""
        try:
            while shipper.ship_next() and not stopped.is_set():
                _tell(home, shipper, started, "")
            if clock.monotonic() >= next_join:
                next_join = clock.monotonic() + JOIN_EVERY_S
                shipper.close_left_ones()
                while not stopped.is_set() and join_next(control):
                    _tell(home, shipper, started, "")
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
        _tell(home, shipper, started, error)
        stopped.wait(min(LONGEST_PAUSE_S, EVERY_S * 2 ** min(failures, 8)) if failures else EVERY_S)


def _tell(home: Path, shipper: Shipper, started: int, error: str) -> None:
    status = ShipperStatus(
        pid=os.getpid(),
        started=started,
        written=clock.now(),
        shipped=shipper.shipped,
        undecoded=shipper.undecoded,
        dropped=shipper.dropped,
        torn_bytes=shipper.torn_bytes,
        waiting_bytes=shipper.waiting_bytes(),
        error=error,
    )
    path = home / SHIPPER_STATUS_PATH
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(status))
        fresh.replace(path)
    except OSError as failure:
        logger.error("the status cannot be written: %s", failure)
