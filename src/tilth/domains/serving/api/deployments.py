"""Our own API of deployments, and the one route that model servers fetch model files from."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from tilth.backends.sql import Tx
from tilth.core.clock import monotonic
from tilth.core.errors import Invalid
from tilth.core.names import check_artifact_path
from tilth.core.paging import page_start
from tilth.core.ports import Blobs
from tilth.domains.models import queries as models
from tilth.domains.models.types import UnknownModelFile
from tilth.domains.serving import actions, queries
from tilth.domains.serving.api.predictions import DESK
from tilth.domains.serving.queries import Surroundings
from tilth.domains.serving.rules.liveness import status_of
from tilth.domains.serving.types import InvalidSplit
from tilth.guard import Access, AccessTo, Permission, delete, get, post, put
from tilth.wire.plane import WorkerStatus
from tilth.wire.serving import Deploy, DeploymentDetail, DeploymentPage, DeploymentView, RollBack, Split
from tilth.wire.shipping import ShipperStatus

BASE = "/api/v1/p/{project:str}/deployments"
ONE = BASE + "/{name:str}"
MAX_WAIT_S = 30.0
LOOK_EVERY_S = 0.1


class BadWait(Invalid):
    """What a caller waits for cannot come."""


async def read_statuses(request: Request[Any, Any, Any]) -> list[WorkerStatus]:
    """Statuses of the workers whose lease is young."""
    found: list[WorkerStatus] = await asyncio.to_thread(request.app.state["tilth_statuses"].read)
    return found


async def surroundings(request: Request[Any, Any, Any], access: Access[Any]) -> Surroundings:
    """What the queries of deployments need beside the database."""
    statuses = await read_statuses(request)
    shipper: ShipperStatus | None = await asyncio.to_thread(request.app.state[DESK].status)
    serve_url = request.app.state.get("tilth_serve_url") or ""
    return Surroundings(access.project, statuses, serve_url, shipper.refused if shipper else ())


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def list_deployments(
    request: Request[Any, Any, Any], access: AccessTo[None], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> DeploymentPage:
    """By name, each with what the model servers say of it."""
    scope = await surroundings(request, access)
    return await access.read(lambda tx: queries.deployment_page(tx, scope, limit=max(1, limit), offset=page_start(offset)))


@get(ONE, permission=Permission.DEPLOYMENT_READ)
async def read_deployment(request: Request[Any, Any, Any], access: AccessTo[None], name: FromPath[str]) -> DeploymentDetail:
    """With every generation it went through, newest first."""
    scope = await surroundings(request, access)
    return await access.read(lambda tx: queries.deployment_detail(tx, scope, name))


@put(ONE, permission=Permission.DEPLOYMENT_CHANGE)
async def deploy(
    request: Request[Any, Any, Any], access: AccessTo[None], name: FromPath[str], data: JSONBody[Deploy]
) -> DeploymentView:
    """Makes or changes the deployment. It is live a moment later: GET .../wait tells when."""
    scope = await surroundings(request, access)

    def write(tx: Tx) -> DeploymentView:
        actions.deploy(
            tx,
            access.actor,
            access.project.id,
            name,
            model=data.model,
            version=data.version,
            alias=data.alias,
            settings=data.settings,
            note=data.note,
            cancel_rollout=data.cancel_rollout,
        )
        return queries.deployment_one(tx, scope, name)

    return await access.write(write)


@put(ONE + "/split", permission=Permission.DEPLOYMENT_CHANGE)
async def split(
    request: Request[Any, Any, Any], access: AccessTo[None], name: FromPath[str], data: JSONBody[Split]
) -> DeploymentView:
    """Shares the requests out over versions of the deployment's model, the same caller always meeting the same one."""
    scope = await surroundings(request, access)
    percents = {share.version: share.percent for share in data.shares}
    if len(percents) != len(data.shares):
        raise InvalidSplit("a version stands twice in the split; give each one its whole share")

    def write(tx: Tx) -> DeploymentView:
        actions.split(tx, access.actor, access.project.id, name, percents, note=data.note, cancel_rollout=data.cancel_rollout)
        return queries.deployment_one(tx, scope, name)

    return await access.write(write)


@post(ONE + "/rollback", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def rollback(
    request: Request[Any, Any, Any], access: AccessTo[None], name: FromPath[str], data: JSONBody[RollBack]
) -> DeploymentView:
    """Serves an earlier generation's version again, pinned."""
    scope = await surroundings(request, access)

    def write(tx: Tx) -> DeploymentView:
        actions.rollback(
            tx,
            access.actor,
            access.project.id,
            name,
            to_generation=data.to_generation,
            note=data.note,
            cancel_rollout=data.cancel_rollout,
        )
        return queries.deployment_one(tx, scope, name)

    return await access.write(write)


@delete(ONE, permission=Permission.DEPLOYMENT_CHANGE)
async def undeploy(access: AccessTo[None], name: FromPath[str]) -> None:
    await access.write(lambda tx: actions.undeploy(tx, access.actor, access.project.id, name))


@get(ONE + "/wait", permission=Permission.DEPLOYMENT_READ)
async def wait(
    request: Request[Any, Any, Any],
    access: AccessTo[None],
    name: FromPath[str],
    generation: FromQuery[int | None] = None,
    timeout_s: FromQuery[float] = 10.0,
) -> DeploymentView:
    """Answers once the generation (the present one if not given) is live or was refused, at the latest after `timeout_s` (<= 30)."""
    found = await access.read(lambda tx: queries.deployment_by_name(tx, access.project.id, name))
    wanted = found.generation if generation is None else generation
    if not 1 <= wanted <= found.generation:
        raise BadWait(f"deployment {name!r} has the generations 1 to {found.generation}; {wanted} is none to wait for")
    deadline = monotonic() + _patience(timeout_s)
    while True:
        status = status_of(found.id, wanted, await read_statuses(request))
        if status.state in ("live", "failed") or monotonic() >= deadline:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    scope = await surroundings(request, access)
    return await access.read(lambda tx: queries.deployment_one(tx, scope, name))


def _patience(timeout_s: float) -> float:
    if not 0 <= timeout_s <= MAX_WAIT_S:
        raise BadWait(f"timeout_s is {timeout_s}; give 0 to {MAX_WAIT_S:.0f} seconds and ask again where that is too short")
    return timeout_s


@get(
    "/api/v1/plane/models/{logged_model_id:str}/files/{path:path}",
    permission=Permission.PLANE_FETCH,
    opt={"tilth_uncompressed": True},
)
async def fetch_for_plane(
    request: Request[Any, Any, Any], access: AccessTo[None], logged_model_id: FromPath[str], path: FromPath[str]
) -> Response[Any]:
    """One file of a sealed model, for model servers, which verify it against the published digest."""
    where = check_artifact_path(path.removeprefix("/"))
    entry = await access.read(lambda tx: models.file_across_projects(tx, logged_model_id, where))
    if entry is None:
        raise UnknownModelFile(logged_model_id, where)
    blobs: Blobs = request.app.state["tilth_blobs"]
    # A missing blob is an error answer now, and would be a broken stream later.
    await blobs.stat(entry.digest)
    headers = {"content-length": str(entry.size), "x-tilth-sha256": entry.digest, "x-content-type-options": "nosniff"}
    return Stream(blobs.open(entry.digest), headers=headers, media_type="application/octet-stream")


routes = [list_deployments, read_deployment, deploy, split, rollback, undeploy, wait, fetch_for_plane]
