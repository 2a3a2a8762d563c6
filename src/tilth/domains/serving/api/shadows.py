"""Versions in the shadow over HTTP: start, stop, how they are doing, and how their answers compare."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request
from litestar.params import FromPath, FromQuery

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, now
from tilth.domains.models import queries as models
from tilth.domains.serving import actions, queries
from tilth.domains.serving.api.predictions import DESK, READER, bounds
from tilth.domains.serving.queries import shadows
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import Shadow
from tilth.guard import Access, AccessTo, Permission, delete, get, put
from tilth.wire.shadows import ShadowList, ShadowReport, ShadowView
from tilth.wire.shipping import PlaneShadows, ShadowCounts, ShadowStatus

ALL = "/api/v1/p/{project:str}/deployments/{name:str}/shadows"
ONE = ALL + "/{version:int}"
DEFAULT_DAYS = 7

Asked = Request[Any, Any, Any]


@get(ALL, permission=Permission.DEPLOYMENT_READ)
async def list_shadows(request: Asked, access: AccessTo[None], name: FromPath[str]) -> ShadowList:
    """By version, each with what its process says."""
    return await shadow_views(request, access, name)


@put(ONE, permission=Permission.DEPLOYMENT_CHANGE)
async def start_shadow(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> ShadowList:
    """The version answers what the deployment is asked from now on, and nobody is given its answers."""
    await access.write(lambda tx: actions.start_shadow(tx, access.actor, access.project.id, name, version))
    return await shadow_views(request, access, name)


@delete(ONE, permission=Permission.DEPLOYMENT_CHANGE)
async def stop_shadow(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> None:
    await access.write(lambda tx: actions.stop_shadow(tx, access.actor, access.project.id, name, version))


@get(ONE + "/report", permission=Permission.DEPLOYMENT_READ)
async def read_report(
    request: Asked,
    access: AccessTo[None],
    name: FromPath[str],
    version: FromPath[int],
    since: FromQuery[int | None] = None,
    until: FromQuery[int | None] = None,
) -> ShadowReport:
    """What the version said in the shadow beside what was answered, of [since, until) in ms, by default of the last 7 days.

    The newest 100,000 rows of each side. One that was stopped is still compared as long as its answers are kept.
    """
    found = await access.read(lambda tx: queries.deployment_by_name(tx, access.project.id, name))
    moment = now()
    first, last = bounds(moment - DEFAULT_DAYS * DAY if since is None else since, moment + 1 if until is None else until)
    report: ShadowReport = await request.app.state[READER].compare(found, version, first, last)
    return report


@get("/api/v1/plane/shadows", permission=Permission.PLANE_SHIP)
async def read_plane_shadows(access: AccessTo[None]) -> PlaneShadows:
    """For the process that runs them."""
    return await access.read(shadows.plane_shadows_across_projects)


async def shadow_views(request: Asked, access: Access[None], name: str) -> ShadowList:
    def read(tx: Tx) -> tuple[Deployment, list[Shadow], dict[str, str]]:
        found = queries.deployment_by_name(tx, access.project.id, name)
        there = shadows.shadows_of(tx, access.project.id, found.id)
        return found, there, models.model_names_across_projects(tx, sorted({shadow.model_id for shadow in there}))

    found, there, names = await access.read(read)
    status: ShadowStatus | None = await asyncio.to_thread(request.app.state[DESK].shadow_status)
    return ShadowList([_view(found, shadow, names.get(shadow.model_id, ""), status) for shadow in there])


def _view(found: Deployment, shadow: Shadow, model: str, status: ShadowStatus | None) -> ShadowView:
    key = f"{model}/{shadow.version}"
    counts = next(
        (each for each in status.shadows if (each.deployment_id, each.key) == (found.id, key)) if status else iter(()),
        ShadowCounts(found.id, key),
    )
    return ShadowView(
        deployment=found.name,
        model=model,
        version=shadow.version,
        started=shadow.started,
        by=shadow.by,
        running=bool(counts.engine),
        engine=counts.engine,
        error=counts.error or (status.error if status else "no process of shadows is there; see `tilth logs shadow`"),
        requests=counts.requests,
        rows=counts.rows,
        errors=counts.errors,
        skipped=counts.skipped,
        behind_bytes=status.behind_bytes if status else 0,
        dropped_bytes=status.dropped_bytes if status else 0,
    )


routes = [list_shadows, start_shadow, stop_shadow, read_report, read_plane_shadows]
