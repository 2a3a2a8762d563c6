"""Errors as HTTP answers: the one table from kinds of error to statuses, and the one place that catches everything."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from tilth.app.mlflow_errors import mlflow_answer, speaks_mlflow
from tilth.core import errors
from tilth.core.errors import TilthError
from tilth.core.ids import new_id
from tilth.wire.errors import ErrorBody, ErrorDetail

log = logging.getLogger("tilth.http")

STATUS: dict[str, int] = {
    errors.NotFound.kind: 404,
    errors.Conflict.kind: 409,
    errors.Unauthenticated.kind: 401,
    errors.Denied.kind: 403,
    errors.Invalid.kind: 400,
    errors.TooLarge.kind: 413,
    errors.Unavailable.kind: 503,
    errors.TooMany.kind: 429,
    errors.OutOfSpace.kind: 507,
    errors.Damaged.kind: 500,
    errors.TilthError.kind: 500,
}
KIND_OF_STATUS = {404: "not_found", 405: "invalid", 409: "conflict", 413: "too_large", 503: "unavailable"}

Asked = Request[Any, Any, Any]
RenderError = Callable[[Asked, int, ErrorDetail], Response[Any]]
"""Draws an error as a page; given by the web part."""


def error_handlers(render_page: RenderError) -> dict[Any, Any]:
    """For Litestar's `exception_handlers`. render_page: for addresses that people open."""

    def answer(
        request: Asked, status: int, detail: ErrorDetail, error: Exception, headers: dict[str, str] | None = None
    ) -> Response[Any]:
        response: Response[Any]
        if speaks_mlflow(request.url.path):
            response = mlflow_answer(request.url.path, status, detail, error)
        elif wants_page(request):
            response = render_page(request, status, detail)
        else:
            response = Response(ErrorBody(detail), media_type=MediaType.JSON, status_code=status)
        response.headers.update(headers or {})
        return response

    def on_tilth_error(request: Asked, error: TilthError) -> Response[Any]:
        status = STATUS[error.kind]
        if status == 500:
            log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
        return answer(request, status, ErrorDetail(error.kind, error.code, str(error)), error, _headers(error))

    def on_http_exception(request: Asked, error: HTTPException) -> Response[Any]:
        if error.status_code >= 500:
            return on_anything(request, error)
        kind = KIND_OF_STATUS.get(error.status_code, "invalid")
        detail = ErrorDetail(kind, _code(error), _message(request, error))
        return answer(request, error.status_code, detail, error, dict(error.headers or {}))

    def on_undecodable(request: Asked, error: Exception) -> Response[Any]:
        return answer(request, 400, ErrorDetail("invalid", "malformed_body", _not_json(error or "nested too deeply")), error)

    def on_anything(request: Asked, error: Exception) -> Response[Any]:
        reference = new_id()
        log.error("%s %s failed (reference %s)", request.method, request.url.path, reference, exc_info=error)
        message = (
            f"something in Tilth broke; nothing was changed. The log of the control process has it under reference {reference}"
        )
        return answer(request, 500, ErrorDetail("error", "internal_error", message), error)

    return {
        TilthError: on_tilth_error,
        HTTPException: on_http_exception,
        msgspec.MsgspecError: on_undecodable,
        UnicodeDecodeError: on_undecodable,
        RecursionError: on_undecodable,
        Exception: on_anything,
    }


def wants_page(request: Asked) -> bool:
    path = request.url.path
    return not path.startswith("/api/") and "/api/" not in path[:80]


def _headers(error: TilthError) -> dict[str, str]:
    if isinstance(error, errors.Unavailable):
        return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, errors.Unauthenticated):
        return {"www-authenticate": 'Bearer realm="tilth"'}
    return {}


def _code(error: HTTPException) -> str:
    return {404: "no_such_address", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status_code, "malformed_request")


def _message(request: Asked, error: HTTPException) -> str:
    """Names the field and what was expected, where Litestar knows it."""
    if error.status_code == 404:
        return f"nothing answers at {request.url.path}"
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}"
    if error.status_code == 413:
        return "the body is larger than this address takes: send less at once, and files as artifacts or files of a model, which stream"
    if isinstance(error.__cause__, SerializationException):
        return _not_json(error.detail)
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        parts = [_fault(item) for item in error.extra if isinstance(item, dict)]
        if parts:
            return "; ".join(parts)
    return str(error.detail)


def _not_json(fault: object) -> str:
    return f"the body is not JSON as this address takes it ({fault}): send one JSON object in UTF-8"


def _fault(item: dict[str, Any]) -> str:
    where, source, message = item.get("key"), item.get("source"), str(item.get("message"))
    if message == "'data'":
        return "the body is missing: send a JSON object"
    # msgspec speaks of types as Python spells them; the path is what the caller has to mend.
    told = message[:1].lower() + message[1:]
    if where in (None, "data"):
        return f"body: {told}"
    return f"{source or 'field'} {where!r}: {told}"
