"""The life of the process of the shadows: idle and small while there are none; else load, follow the log, answer, tell."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane.shipping.control import Control
from tilth.plane.whole_files import write_whole
from tilth.wire.plane import PREDICTIONS_FOLDER
from tilth.wire.shipping import SHADOW_STATUS_PATH, PlaneShadows, ShadowCounts, ShadowStatus

if TYPE_CHECKING:
    from tilth.plane.shadow.company import Company

logger = logging.getLogger(__name__)

ASK_EVERY_S = 2.0
LOOK_EVERY_S = 0.5
PROGRESS_PATH = "plane/shadow-progress.json"


class Shadows:
    """Blocking, one thread."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._control = Control(home)
        self._wanted = PlaneShadows()
        self._company: Company | None = None
        self._started = clock.now()
        self._error = ""

    def run(self, stopped: threading.Event) -> None:
        """Until `stopped` is set."""
        next_ask = clock.monotonic()
        more = False
        while not stopped.wait(0.0 if more else LOOK_EVERY_S):
            if clock.monotonic() >= next_ask:
                next_ask = clock.monotonic() + ASK_EVERY_S
                self._ask()
            try:
                more = self._company.answer_what_is_new() if self._company is not None else False
            except OSError as error:
                self._error = f"the log cannot be followed: {error.strerror}"
                logger.exception("the log cannot be followed")
                more = False
            self._tell()
        if self._company is not None:
            self._company.close()

    def _ask(self) -> None:
        """Which versions shall answer; while control is away those it named last go on."""
        try:
            wanted = self._control.shadows()
        except TilthError as error:
            if not self._error:
                logger.warning("which versions shall answer is not known: %s", error)
            self._error = str(error)
            return
        self._error = ""
        if wanted.deployments and self._company is None:
            # Not at the top: a process without shadows is small.
            from tilth.plane.shadow.company import Company

            self._company = Company(self._home, self._home / PREDICTIONS_FOLDER, self._home / PROGRESS_PATH)
        if self._company is not None:
            if wanted != self._wanted:
                self._wanted = wanted
                self._company.become(wanted)
            self._company.load_missing(self._control.url())

    def _tell(self) -> None:
        company = self._company
        counts: tuple[ShadowCounts, ...] = company.counts() if company is not None else ()
        status = ShadowStatus(
            pid=os.getpid(),
            started=self._started,
            written=clock.now(),
            behind_bytes=company.tail.behind_bytes() if company is not None else 0,
            dropped_bytes=company.tail.dropped_bytes if company is not None else 0,
            error=self._error,
            shadows=counts,
        )
        try:
            write_whole(self._home / SHADOW_STATUS_PATH, msgspec.json.encode(status))
        except OSError as error:
            logger.error("the status cannot be written: %s", error)
