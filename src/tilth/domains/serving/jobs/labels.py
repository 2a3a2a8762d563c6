"""Labels and scores go with the predictions that they are of."""

from __future__ import annotations

from tilth.backends.sql import Database
from tilth.core.clock import DAY, Clock
from tilth.core.ids import ProjectId
from tilth.domains.serving import actions
from tilth.domains.serving.queries import labels as queries
from tilth.domains.serving.types import Deployment

ROWS_AT_ONCE = 5_000
"""Of one transaction: other writers wait that long."""


async def forget_old_labels(database: Database, clock: Clock) -> int:
    """Lets go of scores and labels older than a deployment keeps its predictions. Returns about how many; call it each hour."""
    holding = await database.read(queries.deployments_with_labels_across_projects)
    return sum([await _forget(database, found, clock) for found in holding])


async def _forget(database: Database, found: Deployment, clock: Clock) -> int:
    before = clock() - found.settings.keep_predictions_days * DAY
    gone, some = 0, ROWS_AT_ONCE
    while some >= ROWS_AT_ONCE:
        some = await database.write(
            lambda tx: actions.forget_old_labels(tx, ProjectId(found.project_id), found.id, before, ROWS_AT_ONCE)
        )
        gone += some
    return gone
