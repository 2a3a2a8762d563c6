"""Runs that come from elsewhere, over HTTP. For maintainers: imported runs bear times and users of another system."""

from __future__ import annotations

import asyncio
from functools import partial

from litestar.params import JSONBody

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.tracking.actions import imports
from tilth.domains.tracking.queries import imports as imported
from tilth.domains.tracking.types import BatchTooLarge
from tilth.guard import AccessTo, Permission, post
from tilth.wire.imports import MAX_KNOWN_IDS, AskKnown, ImportedRuns, ImportRuns, Known, Landed

BASE = "/api/v1/p/{project:str}/import/runs"
_AT_ONCE = 10


@post(BASE, permission=Permission.RUN_IMPORT, status_code=200)
async def import_runs(access: AccessTo[None], data: JSONBody[ImportRuns]) -> ImportedRuns:
    """Each run is one transaction; one that is there already is left alone."""
    imports.check_import(data)
    project, actor, at = access.project.id, access.actor, now()
    for experiment in data.experiments:
        await access.write(partial(imports.import_experiment, actor=actor, project_id=project, wanted=experiment))
    landed: dict[str, Landed] = {}
    for start in range(0, len(data.runs), _AT_ONCE):
        some = data.runs[start : start + _AT_ONCE]
        # Together, so that they share one commit.
        writes = [access.write(partial(imports.import_run, actor=actor, project_id=project, wanted=run, at=at)) for run in some]
        landed |= dict(zip((run.id for run in some), await asyncio.gather(*writes), strict=True))
    created = [run_id for run_id, how in landed.items() if how == "created"]
    if created:
        await access.write(lambda tx: imports.note_import(tx, actor, project, created))
    return ImportedRuns(landed)


@post(BASE + "/known", permission=Permission.RUN_IMPORT, status_code=200)
async def known_runs(access: AccessTo[None], data: JSONBody[AskKnown]) -> Known:
    """Which of the ids are here, and what they hold; which are another project's."""
    if len(data.ids) > MAX_KNOWN_IDS:
        raise BatchTooLarge("ids", len(data.ids), MAX_KNOWN_IDS)
    return await access.read(lambda tx: _known(tx, access.project.id, data.ids))


def _known(tx: Tx, project: ProjectId, ids: list[str]) -> Known:
    owners = imported.owners_across_projects(tx, ids)
    return Known(imported.tallies(tx, project, ids), sorted(id_ for id_, owner in owners.items() if owner != project))


routes = [import_runs, known_runs]
