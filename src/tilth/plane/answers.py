"""What goes back to a caller, whatever the protocol; and the one table of the model server from errors to HTTP."""

from __future__ import annotations

import msgspec

from tilth.core.errors import (
    Conflict,
    Damaged,
    Denied,
    Invalid,
    NotFound,
    OutOfSpace,
    TilthError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

HeaderPairs = tuple[tuple[bytes, bytes], ...]


class Malformed(Invalid):
    """The bytes are not HTTP/1.1 as this server speaks it."""


class HeadTooLarge(TooLarge):
    """The request line or the headers are above their bound."""


class BodyTooLarge(TooLarge):
    """The body is above the deployment's bound."""


class RequestTimeout(Invalid):
    """The client took too long to send its request."""


class MethodNotAllowed(Invalid):
    """The address exists, for another method. `allowed`: as the header Allow lists methods."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"method {method} is not allowed here; use {allowed}")
        self.allowed = "GET, HEAD" if allowed == "GET" else allowed


class UnsupportedMediaType(Invalid):
    """The body is in a form that this address does not read."""


class DeadlineExceeded(Unavailable):
    """The answer would have come after the caller's own deadline."""


class QueueFull(Unavailable):
    """More rows wait than the deployment allows."""


class ModelFailed(TilthError):
    """The model raised, or gave something that fits no answer, on this request."""


class Answer(msgspec.Struct, frozen=True):
    """Status, body and headers beyond content-type and content-length."""

    status: int
    body: bytes
    headers: HeaderPairs = ()
    content_type: bytes = b"application/json"


# Looked up along the error's bases: the most precise entry counts.
_TABLE: dict[type[TilthError], tuple[int, str]] = {
    Malformed: (400, "BAD_REQUEST"),
    HeadTooLarge: (431, "BAD_REQUEST"),
    RequestTimeout: (408, "REQUEST_TIMEOUT"),
    MethodNotAllowed: (405, "METHOD_NOT_ALLOWED"),
    UnsupportedMediaType: (415, "UNSUPPORTED_MEDIA_TYPE"),
    DeadlineExceeded: (504, "DEADLINE_EXCEEDED"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    Conflict: (409, "RESOURCE_CONFLICT"),
    Unauthenticated: (401, "UNAUTHENTICATED"),
    Denied: (403, "PERMISSION_DENIED"),
    TooLarge: (413, "REQUEST_TOO_LARGE"),
    Invalid: (400, "BAD_REQUEST"),
    OutOfSpace: (507, "INSUFFICIENT_STORAGE"),
    Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
    Damaged: (500, "DATA_LOSS"),
    TilthError: (500, "INTERNAL_ERROR"),
}


def refusal(error: TilthError, headers: HeaderPairs = ()) -> Answer:
    """MLflow's shape (`error_code`, `message`) and ours (`error`) in one body."""
    status, error_code = _entry(error)
    body = {
        "error_code": error_code,
        "message": str(error),
        "error": {"kind": error.kind, "code": error.code, "message": str(error)},
    }
    return Answer(status, msgspec.json.encode(body), _extra(error) + headers)


def error_only(error: TilthError, headers: HeaderPairs = ()) -> Answer:
    """The shape of the inference protocols: `{"error": text}`."""
    return Answer(_entry(error)[0], msgspec.json.encode({"error": str(error)}), _extra(error) + headers)


def _entry(error: TilthError) -> tuple[int, str]:
    return next(_TABLE[base] for base in type(error).__mro__ if base in _TABLE)


def _extra(error: TilthError) -> HeaderPairs:
    extra: HeaderPairs = ()
    match error:
        case Unauthenticated():
            extra = ((b"www-authenticate", b'Bearer realm="tilth"'),)
        case MethodNotAllowed():
            extra = ((b"allow", error.allowed.encode()),)
        case Unavailable():
            extra = ((b"retry-after", b"%d" % max(1, round(error.retry_after_s))),)
        case _:
            pass
    return extra


def ok(body: object) -> Answer:
    return Answer(200, msgspec.json.encode(body))
