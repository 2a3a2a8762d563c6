"""A prediction on the event loop that does not end: nobody else in this process is answered, so the process ends itself.

The supervisor starts another. The mark left here makes all workers of the home run the version in a process of its own from then on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import threading
from collections.abc import Callable

from tilth.plane.batching import Core
from tilth.plane.hung import HungMarks
from tilth.plane.serving import LoadedVersion

logger = logging.getLogger(__name__)

EVERY_S = 0.5
INLINE_PATIENCE_S = 10.0
"""For a batch of a version that needs milliseconds; a shorter `predict_timeout_s` counts instead."""
INTERPRETER_PATIENCE_S = 60.0
"""For a model that never gives the interpreter up, so that no thread of Python's can see it. A process that is stopped for as long ends
as well once it goes on."""
EXIT_CODE = 75


class Watchdog:
    """A thread, until `stop`. last_words: called in it before the process ends, while the event loop stands still."""

    def __init__(self, core: Core, marks: HungMarks, last_words: Callable[[], None]) -> None:
        self._core = core
        self._marks = marks
        self._last_words = last_words
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        since, seen_s = 0.0, 0.0
        while not self._stopped.wait(EVERY_S):
            # Set anew each time: it goes off where this thread gets no turn any more, with all stacks in the log.
            faulthandler.dump_traceback_later(INTERPRETER_PATIENCE_S, exit=True)
            version = self._core.at_work
            # What counts is how often this thread saw the same prediction: a machine that slept or a process that was stopped did not
            # hang.
            seen_s = seen_s + EVERY_S if version is not None and self._core.at_work_since == since else 0.0
            since = self._core.at_work_since
            if version is not None and seen_s > min(INLINE_PATIENCE_S, version.lane.timeout_s):
                self._end(version)

    def _end(self, version: LoadedVersion) -> None:
        logger.error("version %s holds up the event loop; this worker ends, and all others run it in a process", version.key)
        with contextlib.suppress(OSError):
            self._marks.add(version.digest)
        self._last_words()
        # What was answered is logged; the loop itself can no longer be asked to end.
        os._exit(EXIT_CODE)
