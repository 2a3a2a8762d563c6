"""Route declarations that cannot forget authorisation.

Use these instead of Litestar's decorators: `permission=` has no default, so a route without one neither type-checks nor
imports. The check runs before the body is parsed. `assert_guarded` walks the finished app and refuses to start it with a
route that was declared any other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import SkipValidation
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.status_codes import HTTP_204_NO_CONTENT
from litestar.types import ASGIApp

from tilth.core.clock import now
from tilth.core.errors import Denied, NotFound
from tilth.guard.access import Access
from tilth.guard.permissions import NEEDS, Permission
from tilth.guard.principal import ANONYMOUS, Gate, LoginRequired, Principal, ProjectRef, UnknownProject, check
from tilth.guard.requests import credentials_of, refuse_cross_site
from tilth.guard.tickets import SIGNER, TICKET_HEADER, TICKETS_FOR, holder_of, place_of

L = TypeVar("L")
Loader = Callable[[Any, str, Mapping[str, Any]], Any]
"""loads(tx, project_id, path_params) -> the resource; raises NotFound when it is not in the project."""

AccessTo = NamedDependency[SkipValidation[Access[L]]]
"""Annotation of a handler's argument `access`: `access: AccessTo[Run]`, or `AccessTo[None]` without `loads`."""

GATE = "tilth_gate"
DATABASE = "tilth_database"
PERMISSION = "tilth_permission"
LOADS = "tilth_loads"
ACCESS = "tilth_access"
WORKSPACE = "tilth_workspace"
"""Option of a route whose address may leave the project to a header or to the caller's default."""
WORKSPACE_HEADER = "x-mlflow-workspace"
DEFAULT_WORKSPACE = "default"
"""MLflow's word for the workspace of a caller who names none."""

Declare = Callable[[Callable[..., Any]], HTTPRouteHandler]


class GuardedHandler(HTTPRouteHandler):
    """Litestar's handler without two costs per request that a tenth of the time of a logged metric went into (benchmarks/writes.py)."""

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Litestar hands each guard a copy of the handler, so that it may be changed. Ours only read it."""
        for admit in self.resolve_guards():
            await admit(connection, self)  # type: ignore[misc]

    async def to_response(self, app: Litestar, data: Any, request: Request[Any, Any, Any]) -> ASGIApp:
        """An answer without content is the same for everybody, and a finished one needs nothing more."""
        if isinstance(data, ASGIResponse):
            return data
        if data is None and self.status_code == HTTP_204_NO_CONTENT:
            return _NO_CONTENT
        return await super().to_response(app, data, request)


_NO_CONTENT = ASGIResponse(status_code=HTTP_204_NO_CONTENT)


class UnguardedRoute(RuntimeError):
    """A route was declared without the decorators of this module: a mistake of the programmer, found at start."""


def get(path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any) -> Declare:
    """GET (and HEAD) at `path`. A path with `{project:str}` is checked against the caller's role in that project."""
    return _declare("GET", path, permission, loads, options)


def post(path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any) -> Declare:
    return _declare("POST", path, permission, loads, options)


def put(path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any) -> Declare:
    return _declare("PUT", path, permission, loads, options)


def patch(path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any) -> Declare:
    return _declare("PATCH", path, permission, loads, options)


def delete(path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any) -> Declare:
    return _declare("DELETE", path, permission, loads, options)


def route(
    methods: list[str], path: str | list[str], *, permission: Permission, loads: Loader | None = None, **options: Any
) -> Declare:
    """For a route that takes several methods."""
    return _declare(methods, path, permission, loads, options)


def _declare(
    method: str | list[str], path: str | list[str], permission: Permission, loads: Loader | None, options: dict[str, Any]
) -> Declare:
    opt = {**options.pop("opt", {}), PERMISSION: permission, LOADS: loads}

    def declare(handler: Callable[..., Any]) -> HTTPRouteHandler:
        return GuardedHandler(path, http_method=method, guards=[_admit], opt=opt, **options)(handler)  # type: ignore[arg-type]

    return declare


async def _admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Runs before the body is read: authenticates, resolves the project, checks, loads, and leaves an Access for the handler."""
    permission: Permission = handler.opt[PERMISSION]
    state = connection.app.state
    gate: Gate = state[GATE]
    if permission is Permission.PUBLIC:
        principal, project, loaded = ANONYMOUS, None, None
    else:
        principal = await _authenticated(gate, connection, handler)
        project = await _project(gate, connection, principal, handler)
        await _checked(gate, principal, permission, project, handler)
        loaded = await _loaded(state[DATABASE], handler.opt[LOADS], project, connection.path_params)
    access = Access(principal, permission, loaded, project, gate, state[DATABASE], route=min(handler.paths))
    connection.scope["state"][ACCESS] = access


async def _authenticated(gate: Gate, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> Principal:
    ticket = connection.headers.get(TICKET_HEADER)
    if ticket is not None and TICKETS_FOR in handler.opt:
        return await _of_ticket(gate, connection, handler, ticket)
    credentials = credentials_of(connection)
    if credentials.token is None and credentials.session is None:
        raise LoginRequired
    principal = await gate.authenticate(credentials)
    if principal.by_cookie:
        refuse_cross_site(connection)
    return principal


async def _of_ticket(
    gate: Gate, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler, ticket: str
) -> Principal:
    """Whom it stands for, if he still may what the route asks for: his token may be revoked, or his role lowered, since he got it."""
    state, permission = connection.app.state, handler.opt[PERMISSION]
    place, came_from = place_of(handler.opt[TICKETS_FOR], connection.path_params), credentials_of(connection).address
    principal = holder_of(state[SIGNER], ticket, place, permission, address=came_from, at=now())
    await state[DATABASE].read(lambda tx: gate.recheck(tx, principal, permission, principal.default_project))
    return principal


async def _project(
    gate: Gate, connection: ASGIConnection[Any, Any, Any, Any], principal: Principal, handler: BaseRouteHandler
) -> ProjectRef | None:
    name = connection.path_params.get("project")
    if name is None and WORKSPACE in handler.opt and NEEDS[handler.opt[PERMISSION]].role is not None:
        name = connection.headers.get(WORKSPACE_HEADER, "").strip() or DEFAULT_WORKSPACE
        if name == DEFAULT_WORKSPACE and principal.default_project is not None:
            return principal.default_project
    if name is None:
        return None
    project = await gate.project(name)
    if project is None:
        raise UnknownProject(name)
    return project


async def _checked(
    gate: Gate, principal: Principal, permission: Permission, project: ProjectRef | None, handler: BaseRouteHandler
) -> None:
    try:
        check(principal, permission, project)
    except (Denied, NotFound):
        await gate.refused(principal, min(handler.paths), permission, project)
        raise


async def _loaded(database: Any, loads: Loader | None, project: ProjectRef | None, path_params: Mapping[str, Any]) -> Any:
    if loads is None:
        return None
    project_id = project.id if project is not None else ""
    return await database.read(lambda tx: loads(tx, project_id, path_params))


async def _access(request: Request[Any, Any, Any]) -> Any:
    return request.scope["state"][ACCESS]


def dependencies() -> dict[str, Provide]:
    """What the app must provide so that handlers can take `access`."""
    return {"access": Provide(_access)}


def guarded_routes(app: Litestar) -> list[tuple[str, str, Permission]]:
    """Every (path, method, permission) of the app. Raises UnguardedRoute for one that was declared without the guard."""
    found: list[tuple[str, str, Permission]] = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise UnguardedRoute(f"{route.path}: only HTTP routes declared through tilth.guard may exist")
        for handler in route.route_handlers:
            permission = handler.opt.get(PERMISSION)
            if "OPTIONS" in handler.http_methods and permission is None and handler.fn.__module__.startswith("litestar."):
                continue  # Litestar answers OPTIONS by itself with the list of methods; it runs nothing of ours.
            if permission is None or _admit not in (handler.guards or ()):
                raise UnguardedRoute(f"{route.path}: declare it with tilth.guard.get/post/put/patch/delete and a permission")
            found += [(route.path, method, permission) for method in sorted(handler.http_methods)]
    return found
