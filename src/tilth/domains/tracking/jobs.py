"""Finds runs whose process went silent."""

from __future__ import annotations

import asyncio
import logging

from tilth.backends.sql import Database
from tilth.core.clock import SECOND, Clock, Millis, now
from tilth.core.errors import TilthError
from tilth.domains.tracking import actions

log = logging.getLogger("tilth.tracking")

DEFAULT_TIMEOUT_S = 60.0


class HeartbeatSweep:
    """Marks runs `lost` whose heartbeat is older than the timeout. After a start it waits one whole timeout first.

    While the server was down nobody could send a heartbeat: without that wait every live run would be lost at each restart.
    """

    def __init__(self, database: Database, *, timeout_s: float = DEFAULT_TIMEOUT_S, clock: Clock = now) -> None:
        self._database = database
        self._timeout = Millis(round(timeout_s * SECOND))
        self._clock = clock

    async def sweep(self) -> int:
        """One look. Returns how many runs were found lost."""
        before = Millis(self._clock() - self._timeout)
        return await self._database.write(lambda tx: actions.mark_lost(tx, before))

    async def run_forever(self) -> None:
        every_s = max(0.2, self._timeout / SECOND / 6)
        await asyncio.sleep(self._timeout / SECOND)
        while True:
            try:
                await self.sweep()
            except TilthError as error:
                log.warning("the sweep for lost runs failed and will be repeated: %s", error)
            await asyncio.sleep(every_s)
