"""What MLflow's clients ask of a server as a whole: whether it lives, which version it speaks, what it can do, which workspaces it has."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from tilth.backends.sql import Tx
from tilth.domains.identity import queries as identity
from tilth.guard import Access, Permission, get, mlflow_route
from tilth.guard.files import signed_download_s
from tilth.guard.routes import DEFAULT_WORKSPACE
from tilth.wire.mlflow import SPOKEN_VERSION, Answer, MlflowError


class Features(Answer):
    gateway: bool


class ServerInfo(Answer):
    """What clients may try. multipart_downloads_enabled: they ask for an address signed by the store before each download.

    multipart_uploads_enabled stays False: parts go through Tilth like whole files, so only who asks for them gains from them.
    """

    store_type: str
    workspaces_enabled: bool
    trace_archival_enabled: bool
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool
    presigned_upload_run_id_supported: bool
    presigned_upload_model_id_supported: bool
    features_enabled: Features


class Workspace(Answer):
    """One of our projects."""

    name: str
    description: str | None = None


class OneWorkspace(Answer):
    workspace: Workspace


class Workspaces(Answer):
    workspaces: tuple[Workspace, ...] = ()


@get(["/health", "/p/{project:str}/health"], permission=Permission.PUBLIC, sync_to_thread=False)
def mlflow_health() -> ASGIResponse:
    """Answers once the control process takes requests."""
    return ASGIResponse(body=b"OK", media_type="text/plain", encoding="utf-8")


@get(["/version", "/p/{project:str}/version"], permission=Permission.PUBLIC, sync_to_thread=False)
def mlflow_version() -> ASGIResponse:
    """The version of MLflow whose protocol Tilth speaks."""
    return ASGIResponse(body=SPOKEN_VERSION.encode(), media_type="text/plain", encoding="utf-8")


@mlflow_route("GET", "/server-info", version="3.0", permission=Permission.PUBLIC)
async def server_info(access: Access[None], request: Request[Any, Any, Any]) -> ServerInfo:
    """Known before anybody signs in, as MLflow has it: it tells no more of the installation than whether its store signs addresses."""
    return ServerInfo(
        store_type="SqlStore",
        workspaces_enabled=True,
        trace_archival_enabled=False,
        multipart_uploads_enabled=False,
        multipart_downloads_enabled=signed_download_s(request) > 0,
        presigned_upload_run_id_supported=False,
        presigned_upload_model_id_supported=False,
        features_enabled=Features(gateway=False),
    )


@mlflow_route("GET", "/workspaces", version="3.0", permission=Permission.SIGNED_IN)
async def list_workspaces(access: Access[None]) -> Workspaces:
    """The caller's projects."""
    return Workspaces(tuple(await access.read(lambda tx: _workspaces(tx, access))))


@mlflow_route("GET", "/workspaces/{workspace_name:str}", version="3.0", permission=Permission.SIGNED_IN)
async def get_workspace(access: Access[None], request: Request[Any, Any, Any]) -> OneWorkspace:
    """One of the caller's projects; `default` is his own one, whatever it is called."""
    name = str(request.path_params["workspace_name"])
    own = access.principal.default_project
    wanted = own.name if name == DEFAULT_WORKSPACE and own is not None else name
    for workspace in await access.read(lambda tx: _workspaces(tx, access)):
        if workspace.name == wanted:
            return OneWorkspace(Workspace(name, workspace.description))
    raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Workspace '{name[:80]}' not found")


def _workspaces(tx: Tx, access: Access[None]) -> list[Workspace]:
    mine = [project for project in access.principal.roles if access.principal.role_in(project) is not None]
    return [Workspace(project.name, project.description) for project in identity.projects_of(tx, mine)]


routes = [mlflow_health, mlflow_version, server_info, list_workspaces, get_workspace]
