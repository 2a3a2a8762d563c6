"""Our own API of rollouts. `{rollout}` is an id, or `latest`."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.paging import page_start
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.api.deployments import read_statuses
from tilth.domains.serving.queries import rollout_pages as queries
from tilth.guard import AccessTo, Permission, get, post
from tilth.wire.rollouts import Promote, RolloutDetail, RolloutNote, RolloutPage, RolloutView, StartRollout

BASE = "/api/v1/p/{project:str}/deployments/{name:str}/rollouts"
ONE = BASE + "/{rollout:str}"

Asked = Request[Any, Any, Any]


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def list_rollouts(
    access: AccessTo[None], name: FromPath[str], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> RolloutPage:
    """Newest first."""
    start = page_start(offset)
    return await access.read(lambda tx: queries.rollout_page(tx, access.project.id, name, limit=max(1, limit), offset=start))


@post(BASE, permission=Permission.DEPLOYMENT_CHANGE, status_code=201)
async def start_rollout(request: Asked, access: AccessTo[None], name: FromPath[str], data: JSONBody[StartRollout]) -> RolloutView:
    """The first step begins at once; the judge looks at it every two seconds from then on."""
    workers = await read_statuses(request)

    def write(tx: Tx) -> RolloutView:
        return queries.rollout_one(tx, actions.start(tx, access.actor, access.project.id, name, data, workers), name)

    return await access.write(write)


@get(ONE, permission=Permission.DEPLOYMENT_READ)
async def read_rollout(access: AccessTo[None], name: FromPath[str], rollout: FromPath[str]) -> RolloutDetail:
    """With its verdicts, newest first."""
    return await access.read(lambda tx: queries.rollout_detail(tx, access.project.id, name, rollout))


@post(ONE + "/pause", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def pause_rollout(
    access: AccessTo[None], name: FromPath[str], rollout: FromPath[str], data: JSONBody[RolloutNote]
) -> RolloutView:
    """It takes no further step; a broken guardrail still rolls it back."""

    def write(tx: Tx) -> RolloutView:
        return queries.rollout_one(tx, actions.pause(tx, access.actor, access.project.id, name, rollout, note=data.note), name)

    return await access.write(write)


@post(ONE + "/resume", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def resume_rollout(
    access: AccessTo[None], name: FromPath[str], rollout: FromPath[str], data: JSONBody[RolloutNote]
) -> RolloutView:
    def write(tx: Tx) -> RolloutView:
        return queries.rollout_one(tx, actions.resume(tx, access.actor, access.project.id, name, rollout, note=data.note), name)

    return await access.write(write)


@post(ONE + "/promote", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def promote_rollout(
    request: Asked, access: AccessTo[None], name: FromPath[str], rollout: FromPath[str], data: JSONBody[Promote]
) -> RolloutView:
    """The next step now, or the end of all steps."""
    workers = await read_statuses(request)

    def write(tx: Tx) -> RolloutView:
        project = access.project.id
        moved = actions.promote(tx, access.actor, project, name, rollout, workers, to_end=data.to_end, note=data.note)
        return queries.rollout_one(tx, moved, name)

    return await access.write(write)


@post(ONE + "/rollback", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def roll_back_rollout(
    request: Asked, access: AccessTo[None], name: FromPath[str], rollout: FromPath[str], data: JSONBody[RolloutNote]
) -> RolloutView:
    """The version served before gets all requests again."""
    workers = await read_statuses(request)

    def write(tx: Tx) -> RolloutView:
        back = actions.roll_back(tx, access.actor, access.project.id, name, rollout, workers, note=data.note)
        return queries.rollout_one(tx, back, name)

    return await access.write(write)


routes: list[Any] = [
    list_rollouts,
    start_rollout,
    read_rollout,
    pause_rollout,
    resume_rollout,
    promote_rollout,
    roll_back_rollout,
]
