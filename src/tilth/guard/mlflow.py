"""Routes that speak MLflow's REST protocol: one handler, four addresses, the same guard as everywhere.

MLflow's clients and its own pages ask at `/api/...` and `/ajax-api/...`; a tracking address that ends in `/p/<project>` puts that in
front. Without the prefix the project is that of the header X-MLFLOW-WORKSPACE, else the caller's default one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import signature
from typing import Any, get_type_hints

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from tilth.guard.permissions import Permission
from tilth.guard.routes import WORKSPACE, AccessTo, route
from tilth.wire.mlflow import Asked, from_body, from_query, invalid, to_body

_PREFIXES = ("/api", "/ajax-api", "/p/{project:str}/api", "/p/{project:str}/ajax-api")
_BODILESS = frozenset(("GET", "HEAD"))

Handler = Callable[..., Awaitable[Any]]


def mlflow_addresses(path: str, *, version: str = "2.0", service: str = "mlflow") -> list[str]:
    """The four addresses of one call, such as `/api/2.0/mlflow/runs/create`."""
    return [f"{prefix}/{version}/{service}{path}" for prefix in _PREFIXES]


def mlflow_route(
    methods: str,
    path: str,
    *,
    permission: Permission,
    version: str = "2.0",
    service: str = "mlflow",
    raw: bool = False,
    **options: Any,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Declares `async def call(access, wanted)` at its four addresses.

    methods: such as "POST" or "GET POST". wanted: a struct of `wire.mlflow.Asked`, read from the body, or from the query of a GET; the
    call may leave it out, and may take `request` as well (`request.path_params`). What it returns is a struct, written as JSON.
    raw: the function is an ordinary Litestar handler (bytes in, bytes out) that only needs the addresses and the guard.
    """
    addresses = mlflow_addresses(path, version=version, service=service)
    opt = {**options.pop("opt", {}), WORKSPACE: True}

    def declare(handler: Handler) -> HTTPRouteHandler:
        called = handler if raw else _json_call(handler)
        return route(methods.split(), addresses, permission=permission, opt=opt, status_code=200, **options)(called)

    return declare


def _json_call(handler: Handler) -> Handler:
    takes = signature(handler).parameters
    wanted: type[Asked] | None = get_type_hints(handler)["wanted"] if "wanted" in takes else None
    needs_request = "request" in takes

    async def call(access: AccessTo[None], request: Request[Any, Any, Any]) -> Any:
        arguments: dict[str, Any] = {"request": request} if needs_request else {}
        if request.method not in _BODILESS:
            _check_content_type(request.headers.get("content-type", ""))
        if wanted is not None:
            arguments["wanted"] = await _asked(request, wanted)
        return json_answer(await handler(access, **arguments))

    call.__name__ = handler.__name__
    call.__doc__ = handler.__doc__
    return call


def json_answer(answer: Any) -> ASGIResponse:
    """A struct as MLflow's JSON."""
    return ASGIResponse(body=to_body(answer), media_type="application/json", encoding="utf-8")


async def _asked(request: Request[Any, Any, Any], wanted: type[Asked]) -> Asked:
    if request.method in _BODILESS:
        return from_query(request.query_params.multi_items(), wanted)
    return from_body(await request.body(), wanted)


def _check_content_type(given: str) -> None:
    if not given:
        raise invalid("Bad Request. Content-Type header is missing.")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise invalid("Bad Request. Content-Type must be one of ['application/json'].")
