"""The judge of rollouts: looks at each one that is under way every other second and lets it go on, back or wait."""

from __future__ import annotations

import asyncio
import logging

from tilth.backends.sql import Database
from tilth.core.clock import Clock
from tilth.core.errors import TilthError
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.jobs.plane import StatusReader
from tilth.domains.serving.queries import rollouts as queries
from tilth.domains.serving.rules.rollouts import Hold
from tilth.domains.serving.types import Rollout
from tilth.wire.plane import WorkerStatus

log = logging.getLogger("tilth.serving")


class RolloutJudge:
    """Several control processes may each run one: the row of a rollout is locked while it is judged, and judged once a second at most.

    Everything it knows stands in the database, so that the next process goes on where a killed one ended.
    """

    def __init__(self, db: Database, statuses: StatusReader, clock: Clock) -> None:
        self._db = db
        self._statuses = statuses
        self._clock = clock

    async def judge_all(self) -> int:
        """How many rollouts were looked at."""
        waiting = await self._db.read(queries.rollouts_under_way_across_projects)
        if not waiting:
            return 0
        workers = await asyncio.to_thread(self._statuses.read)
        for rollout in waiting:
            try:
                await self._judge(rollout, workers)
            except TilthError as error:
                # One rollout that cannot be judged (a full disk, a model that was deleted) must not leave the others unwatched.
                log.error("rollout %s could not be judged (%s); it is looked at again", rollout.id, error)
        return len(waiting)

    async def _judge(self, rollout: Rollout, workers: list[WorkerStatus]) -> None:
        verdict = await self._db.write(lambda tx: actions.judge(tx, rollout, workers, self._clock()))
        if verdict is not None and not isinstance(verdict, Hold):
            log.info("rollout %s of version %d: %s", rollout.id, rollout.candidate, verdict)
