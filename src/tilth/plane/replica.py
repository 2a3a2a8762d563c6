"""One replica of the model server that follows a home, in whoever's process it is: all but its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tilth.core import clock
from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.hung import HungMarks
from tilth.plane.loading import Loader
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.plane.shipping.pace import Pace
from tilth.plane.status import StatusReport
from tilth.plane.watchdog import Watchdog
from tilth.wire.plane import PREDICTIONS_FOLDER

SWEEP_S = 1.0


class Replica:
    """Belongs to the running event loop.

    core: answers requests. tasks: run until `end`; one that ends before has failed, and with it the replica.
    """

    def __init__(self, home: Path, name: str, memory_budget_mb: int = 0, last_words: Callable[[], None] = lambda: None) -> None:
        """name: unique within the home. memory_budget_mb: for lazy versions, 0 for no bound. last_words: see Watchdog."""
        self._log = PredictionLog(home / PREDICTIONS_FOLDER, name)
        self.core = Core(self._log)
        self._report = StatusReport(home, name, self.core)
        self._residence = Residence(memory_budget_mb << 20)
        self.follower = Follower(home, self.core, Loader(home, self._residence), self._report.changed)
        self._watchdog = Watchdog(self.core, HungMarks(home), last_words)
        loop = asyncio.get_running_loop()
        self.tasks = [
            loop.create_task(self.follower.run(), name="following"),
            loop.create_task(self._report.run(self.follower), name="reporting"),
            loop.create_task(self._hand_on(Pace(home)), name="handing-on"),
            loop.create_task(self._unload_idle(), name="unloading"),
        ]

    async def end(self) -> None:
        """Once what was in flight is answered: makes the prediction log durable."""
        for task in self.tasks:
            task.cancel()
        self._watchdog.stop()
        await asyncio.to_thread(self._log.close)
        self._report.withdraw()

    async def _hand_on(self, pace: Pace) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            pace.set(self._log)

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._residence.empty:
                continue
            # Ending a version's processes takes a moment.
            await asyncio.to_thread(self._residence.sweep, clock.monotonic())
