"""A prediction on the event loop that does not end: nobody else in this process is answered, so the process ends itself.

The supervisor starts another, which finds the mark left here and lets the version predict beside the loop from then on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading

from tilth.plane.batching import Core
from tilth.plane.hung import HungMarks
from tilth.plane.serving import LoadedVersion

logger = logging.getLogger(__name__)

EVERY_S = 0.5
INLINE_PATIENCE_S = 10.0
"""For a batch of a version that needs milliseconds; a shorter `predict_timeout_s` counts instead."""
EXIT_CODE = 75


def watch(core: Core, marks: HungMarks) -> None:
    """Starts the watching thread. A model that never gives the interpreter up cannot be seen by it."""
    threading.Thread(target=_watch, args=(core, marks), name="watchdog", daemon=True).start()


def _watch(core: Core, marks: HungMarks) -> None:
    pause = threading.Event()
    since, seen_s = 0.0, 0.0
    while not pause.wait(EVERY_S):
        version = core.at_work
        # What counts is how often this thread saw the same prediction: a machine that slept or a process that was stopped did not hang.
        seen_s = seen_s + EVERY_S if version is not None and core.at_work_since == since else 0.0
        since = core.at_work_since
        if version is not None and seen_s > min(INLINE_PATIENCE_S, version.lane.timeout_s):
            _end(version, marks)


def _end(version: LoadedVersion, marks: HungMarks) -> None:
    logger.error(
        "version %s holds up the event loop; this worker ends, and the next one lets it predict beside the loop", version.key
    )
    with contextlib.suppress(OSError):
        marks.add(version.digest)
    # What was answered is logged; the loop itself can no longer be asked to end.
    os._exit(EXIT_CODE)
