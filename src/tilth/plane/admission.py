"""Who may ask what: decided from the request line and the headers, before a body is read. Pure; runs for each request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tilth.core.clock import Millis
from tilth.core.errors import Denied, Invalid, NotFound, Unauthenticated, Unavailable
from tilth.plane.answers import Answer, MethodNotAllowed, UnsupportedMediaType, ok
from tilth.plane.serving import Place, ServedDeployment, ServingState, Verb
from tilth.wire.plane import PlaneToken

HEADERS = frozenset(
    (
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"x-request-id",
        b"x-route-key",
        b"x-timeout-ms",
    )
)
"""Those that are looked at, lower case; adapters need to keep no others."""

MAX_TIMEOUT_MS = 600_000
_JSON = re.compile(rb'application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', re.IGNORECASE)
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


class NotServedYet(Unavailable):
    """The deployment exists but no generation of it serves here."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A prediction request that may go on and send its body.

    timeout_s: the caller's own deadline, from the request's last byte on; route_key: what decides between versions, empty if not given.
    """

    served: ServedDeployment
    content_type: str
    request_id: str
    route_key: bytes
    timeout_s: float | None

    @property
    def max_body_bytes(self) -> int:
        return self.served.spec.max_body_bytes


def admit(
    state: ServingState, method: str, target: bytes, headers: Headers, *, now: Millis, draining: bool
) -> Admission | Answer:
    """Answers what needs no body. Raises the refusals above, MethodNotAllowed and UnsupportedMediaType."""
    found = state.targets.get(target) or state.targets.get(_plain(target))
    if found is None and (answer := _health(state, method, target, draining)) is not None:
        return answer
    _refuse_other_sites(headers)
    token = _token(state, headers, now)
    place, verb = _permitted(found, target, token)
    expected = "POST" if verb == "invocations" else "GET"
    if method != expected:
        raise MethodNotAllowed(method, expected)
    if verb == "ready":
        return _readiness(place)
    if place.served is None:
        raise NotServedYet(_why_not(place))
    return _admission(place.served, headers)


def _health(state: ServingState, method: str, target: bytes, draining: bool) -> Answer | None:
    path = target.partition(b"?")[0]
    if path not in (b"/health/live", b"/health/ready"):
        return None
    if method != "GET":
        raise MethodNotAllowed(method, "GET")
    if path == b"/health/ready":
        if draining:
            raise Unavailable("this worker is shutting down; ask another")
        if not state.settled:
            waiting = [place.wanted.name for place in state.places if place.served is None and not place.failure]
            reason = (
                f"loading {', '.join(waiting[:10])}" if state.known else "waiting for its first state from the control process"
            )
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


def _permitted(found: tuple[Place, Verb] | None, target: bytes, token: PlaneToken) -> tuple[Place, Verb]:
    # A project that exists but is not the token's must look exactly like one that does not exist.
    if found is not None and found[0].wanted.project_id in token.projects:
        return found
    path = _plain(target)
    parts = path.decode("latin-1").split("/")
    if len(parts) == 6 and parts[1] == "p" and parts[3] == "deployments" and parts[5] in ("invocations", "ready"):
        raise UnknownDeployment(f"no deployment {parts[4][:80]!r} in a project {parts[2][:80]!r} that this token may use")
    raise UnknownAddress("nothing answers at this path; predictions are at POST /p/<project>/deployments/<name>/invocations")


def _readiness(place: Place) -> Answer:
    if not place.current:
        raise NotServedYet(_why_not(place))
    return ok({"status": "ok", "generation": place.wanted.generation})


def _why_not(place: Place) -> str:
    name, generation = place.wanted.name, place.wanted.generation
    serving = f"; generation {place.served.spec.generation} serves on" if place.served else ""
    if place.failure:
        return f"generation {generation} of deployment {name!r} was refused: {place.failure}{serving}"
    return f"generation {generation} of deployment {name!r} is loading{serving}"


def _admission(served: ServedDeployment, headers: Headers) -> Admission:
    content_type = headers.get(b"content-type", b"")
    if not _JSON.fullmatch(content_type):
        shown = content_type[:80].decode("latin-1") or "none"
        raise UnsupportedMediaType(f"content type {shown} is not read here; send application/json in UTF-8")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("compressed bodies are not read here; send the body without content-encoding")
    request_id = headers.get(b"x-request-id", b"")
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidHeader("x-request-id must be 1 to 200 printable ASCII characters without spaces")
    return Admission(
        served,
        content_type.decode("latin-1"),
        request_id.decode("ascii"),
        headers.get(b"x-route-key", b"")[:1000],
        _timeout_s(headers.get(b"x-timeout-ms")),
    )


def _timeout_s(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 9 or not 1 <= int(value) <= MAX_TIMEOUT_MS:
        raise InvalidHeader(
            f"x-timeout-ms must be a whole number from 1 to {MAX_TIMEOUT_MS}, not {value[:20].decode('latin-1')!r}"
        )
    return int(value) / 1000
