"""Who may ask what: decided from the request line and the headers, before a body is read. Pure; runs for each request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from tilth.core.clock import Millis
from tilth.core.errors import Denied, Invalid, NotFound, Unauthenticated, Unavailable
from tilth.plane import telling
from tilth.plane.addresses import Target, Tell
from tilth.plane.answers import Answer, MethodNotAllowed, UnsupportedMediaType, ok
from tilth.plane.compression import Coding
from tilth.plane.protocols import KSERVE_V1, MLFLOW, OPEN_INFERENCE
from tilth.plane.protocols.port import Codec, Content
from tilth.plane.serving import Place, ServedDeployment
from tilth.plane.state import ServingState
from tilth.wire.plane import PlaneToken

HEADERS = frozenset(
    (
        b"accept-encoding",
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"host",
        b"inference-header-content-length",
        b"origin",
        b"sec-fetch-site",
        b"x-request-id",
        b"x-route-key",
        b"x-timeout-ms",
    )
)
"""Those that are looked at, lower case; adapters need to keep no others."""

MAX_TIMEOUT_MS = 600_000
MAX_INQUIRY_BYTES = 64 << 10
MAX_ASIDE_BYTES = 1 << 20
_HEALTH = frozenset((b"/health/live", b"/health/ready", b"/v2/health/live", b"/v2/health/ready"))
_CODINGS: dict[bytes, Coding] = {b"gzip": "gzip", b"deflate": "deflate"}
"""A client that accepts exactly one of these asks for it; lists of several are what HTTP libraries send unasked."""
_PACKED = _CODINGS | {b"x-gzip": "gzip"}
"""Of bodies that come: HTTP has an older name for gzip, which recipients shall know."""
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,200}")

Headers = Mapping[bytes, bytes]


class UnknownAddress(NotFound):
    """Nothing answers at this path."""


class UnknownDeployment(NotFound):
    """No such deployment in a project that the token may use."""


class InvalidToken(Unauthenticated):
    """The request carries no token, or one that is unknown, expired, revoked, or lacks the scope `predict`."""


class CrossSite(Denied):
    """A browser sent the request on behalf of a page of another site."""


class InvalidHeader(Invalid):
    """A header that this server reads has a value that it cannot be."""


class Admission(msgspec.Struct, frozen=True):
    """A prediction request that may go on and send its body.

    version: the one that the address names, None if the routes decide. coding: what the body is packed in; answer_coding: what the
    answer shall be. timeout_s: the caller's own deadline, from the request's last byte on; route_key: what decides between versions,
    empty if not given.
    """

    served: ServedDeployment
    codec: Codec
    version: int | None
    content: Content
    coding: Coding | None
    answer_coding: Coding | None
    request_id: str
    route_key: bytes
    timeout_s: float | None

    @property
    def max_body_bytes(self) -> int:
        return self.served.spec.max_body_bytes


class Inquiry(msgspec.Struct, frozen=True):
    """A question that is no prediction and whose body matters. aside: it takes too long for the event loop."""

    codec: Codec
    tell: Tell
    max_body_bytes: int = MAX_INQUIRY_BYTES
    aside: bool = False
    coding: Coding | None = None


def admit(
    state: ServingState, method: str, target: bytes, headers: Headers, *, now: Millis, draining: bool
) -> Admission | Inquiry | Answer:
    """Answers what needs no body. Raises the refusals above, MethodNotAllowed and UnsupportedMediaType."""
    found = _found(state, target)
    if found is None and (answer := _health(state, method, target, draining)) is not None:
        return answer
    _refuse_other_sites(headers)
    if found is None and not state.guarded:
        raise UnknownAddress("nothing answers at this path; predictions are at POST /invocations and /v2/models/<name>/infer")
    if found is None or found.project_id:
        token = _token(state, headers, now)
        if found is None or found.project_id not in token.projects:
            # A project that exists but is not the token's must look exactly like one that does not exist.
            raise _unknown(target)
    if method != found.method and not (method == "HEAD" and found.method == "GET"):
        raise MethodNotAllowed(method, found.method)
    if found.place is not None:
        return _admission(found, found.place, headers)
    assert found.tell is not None
    if draining and found.readiness:
        raise Unavailable("this worker is shutting down; ask another")
    if method != "POST":
        return found.tell(b"")
    coding = _coding(headers.get(b"content-encoding"))
    return Inquiry(found.codec, found.tell, MAX_ASIDE_BYTES if found.aside else MAX_INQUIRY_BYTES, found.aside, coding)


def codec_at(state: ServingState, target: bytes) -> Codec:
    """The one in whose shape an error at this address is told, whether anything answers there or not."""
    found = _found(state, target)
    if found is not None:
        return found.codec
    path = target.partition(b"?")[0]
    if b"/v2" in path:
        return OPEN_INFERENCE
    return KSERVE_V1 if b"/v1/" in path else MLFLOW


def _found(state: ServingState, target: bytes) -> Target | None:
    return state.targets.get(target) or state.targets.get(_plain(target))


def _health(state: ServingState, method: str, target: bytes, draining: bool) -> Answer | None:
    path = target.partition(b"?")[0]
    if path not in _HEALTH:
        return None
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowed(method, "GET")
    if path.endswith(b"ready"):
        if draining:
            raise Unavailable("this worker is shutting down; ask another")
        if not state.settled:
            # Their names are for those who have a token of their project.
            waiting = sum(place.served is None and not place.failure for place in state.places)
            reason = f"loading {waiting} deployments" if state.known else "waiting for its first state from the control process"
            raise Unavailable(f"this worker is {reason}; ask again")
    return ok({"status": "ok"})


def _plain(target: bytes) -> bytes:
    """The path without query, each segment decoded once; a segment that hides a slash stays different from any address."""
    path = target.partition(b"?")[0]
    if b"%" not in path:
        return path
    return b"/".join(unquote_to_bytes(segment).replace(b"/", b"%2F") for segment in path.split(b"/"))


def _refuse_other_sites(headers: Headers) -> None:
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    if site is not None:
        foreign = site not in (b"same-origin", b"none")
    else:
        foreign = origin is not None and origin.rpartition(b"//")[2] != headers.get(b"host", b"")
    if foreign:
        raise CrossSite("requests by browsers from other sites are refused; call the deployment from a server")


def _token(state: ServingState, headers: Headers, now: Millis) -> PlaneToken:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not credential:
        raise InvalidToken(
            "send 'Authorization: Bearer <token>' with a token of the scope predict; `tilth token create` makes one"
        )
    token = state.tokens.get(hashlib.sha256(credential.strip()).hexdigest())
    if token is None:
        raise InvalidToken("the token is unknown, revoked or lacks the scope predict; `tilth token list` shows yours")
    if token.expires is not None and token.expires <= now:
        raise InvalidToken("the token has expired; `tilth token create` makes a new one")
    return token


def _unknown(target: bytes) -> NotFound:
    path = _plain(target)
    parts = path.decode("latin-1").split("/")
    if len(parts) >= 5 and parts[1] == "p" and parts[3] == "deployments":
        return UnknownDeployment(
            f"no deployment {parts[4][:80]!r} in a project {parts[2][:80]!r} that this token may use, or nothing at this path of it; "
            "`tilth deployment list` shows what there is"
        )
    if parts[-1] == "stats":
        return UnknownAddress("there are no statistics in this protocol here; the page of the deployment shows them")
    if len(parts) >= 6 and parts[1] == "p" and parts[4] == "models":
        model = parts[5].partition(":")[0]
        return UnknownDeployment(
            f"no deployment {model[:80]!r} in a project {parts[2][:80]!r} that this token may use, or no such version or path of it"
        )
    return UnknownAddress(
        "nothing answers at this path; predictions are at POST /p/<project>/deployments/<name>/invocations, "
        "/p/<project>/v2/models/<name>/infer and /p/<project>/v1/models/<name>:predict"
    )


def _admission(found: Target, place: Place, headers: Headers) -> Admission:
    served = telling.served(place)
    if found.version is not None:
        telling.version_of(place, found.version)
    codec = found.codec
    content_type = headers.get(b"content-type", b"")
    codec.check(content_type)
    request_id = headers.get(b"x-request-id", b"")
    accepted = headers.get(b"accept-encoding", b"") if codec.compresses else b""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidHeader("x-request-id must be 1 to 200 printable ASCII characters without spaces")
    return Admission(
        served,
        codec,
        found.version,
        _content(content_type, headers.get(b"inference-header-content-length")),
        _coding(headers.get(b"content-encoding")),
        _CODINGS.get(accepted),
        request_id.decode("ascii"),
        headers.get(b"x-route-key", b"")[:1000],
        _timeout_s(headers.get(b"x-timeout-ms")),
    )


def _coding(value: bytes | None) -> Coding | None:
    if value is None or value.lower() == b"identity":
        return None
    coding = _PACKED.get(value.lower())
    if coding is None:
        shown = value[:40].decode("latin-1")
        raise UnsupportedMediaType(f"content-encoding {shown!r} is not read here; send gzip, deflate, or the body as it is")
    return coding


_PLAIN_JSON = Content()


def _content(content_type: bytes, header_length: bytes | None) -> Content:
    if header_length is None:
        return _PLAIN_JSON if content_type == b"application/json" else Content(content_type.decode("latin-1"))
    return Content(content_type.decode("latin-1"), _header_bytes(header_length))


def _header_bytes(value: bytes) -> int:
    if not value.isdigit() or len(value) > 10:
        raise InvalidHeader(f"inference-header-content-length must be a number of bytes, not {value[:20].decode('latin-1')!r}")
    return int(value)


def _timeout_s(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 9 or not 1 <= int(value) <= MAX_TIMEOUT_MS:
        raise InvalidHeader(
            f"x-timeout-ms must be a whole number from 1 to {MAX_TIMEOUT_MS}, not {value[:20].decode('latin-1')!r}"
        )
    return int(value) / 1000
