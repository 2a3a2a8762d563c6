"""Finds runs whose process went silent, and uploads that nobody goes on with."""

from __future__ import annotations

from tilth.backends.sql import Database
from tilth.core.clock import DAY, SECOND, Clock, Millis, now
from tilth.domains.tracking import actions
from tilth.domains.tracking.actions import uploads

DEFAULT_TIMEOUT_S = 60.0


class HeartbeatSweep:
    """Marks runs `lost` whose heartbeat is older than the timeout. Call `sweep` every few seconds.

    While the server was down nobody could send a heartbeat: nothing is lost before one whole timeout after the start.
    """

    def __init__(self, database: Database, *, timeout_s: float = DEFAULT_TIMEOUT_S, clock: Clock = now) -> None:
        self._database = database
        self._timeout = Millis(round(timeout_s * SECOND))
        self._clock = clock
        self._started = clock()

    async def sweep(self) -> int:
        """One look. Returns how many runs were found lost."""
        before = Millis(self._clock() - self._timeout)
        if before < self._started:
            return 0
        return await self._database.write(lambda tx: actions.mark_lost(tx, before))


async def sweep_uploads(database: Database, clock: Clock = now) -> int:
    """Lets go of uploads in parts that were left alone for a day. Returns how many; call it every few minutes."""
    before = Millis(clock() - DAY)
    return await database.write(lambda tx: uploads.sweep_uploads(tx, before))
