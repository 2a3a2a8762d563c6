"""Whole runs over HTTP, for leaving: nothing is thinned and nothing left out but deleted runs."""

from __future__ import annotations

import msgspec
from litestar.params import FromPath, FromQuery

from tilth.core.errors import Invalid
from tilth.domains.tracking.queries import exports
from tilth.domains.tracking.types import UnknownRun
from tilth.guard import AccessTo, Permission, get
from tilth.wire.imports import ExportedPoints, ExportedRuns

BASE = "/api/v1/p/{project:str}/export/runs"


class InvalidPlace(Invalid):
    """A place that no page of an export ended at."""


@get(BASE, permission=Permission.RUN_READ)
async def export_runs(access: AccessTo[None], after: FromQuery[str] = "", limit: FromQuery[int] = 100) -> ExportedRuns:
    project = access.project.id
    return await access.read(lambda tx: exports.exported_runs(tx, project, after, limit))


@get(BASE + "/{run_id:str}/points", permission=Permission.RUN_READ)
async def export_points(
    access: AccessTo[None], run_id: FromPath[str], after: FromQuery[str] = "", limit: FromQuery[int] = exports.MAX_POINTS
) -> ExportedPoints:
    """after: that of the page before."""
    try:
        place = msgspec.json.decode(after, type=tuple[str, int, int, int]) if after else None
    except msgspec.MsgspecError as error:
        raise InvalidPlace(f"after {after[:80]!r} was not given by this server; take `after` of the answer before") from error
    found = await access.read(lambda tx: exports.exported_points(tx, access.project.id, run_id, place, limit))
    if found is None:
        raise UnknownRun(run_id)
    return found


routes = [export_runs, export_points]
