"""What stands before every request, whatever the route: the Host allow-list and the security headers.

ASGI middleware, because it must also cover errors and addresses that no route answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tilth.guard.requests import SAFE_METHODS

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_UNKNOWN_HOST = (
    b'{"error":{"kind":"invalid","code":"unknown_host","message":"this server does not answer under the host name of this request: '
    b'use 127.0.0.1 or localhost, or add the name to allowed_hosts in tilth.toml"}}'
)
_CROSS_SITE = (
    b'{"error":{"kind":"denied","code":"cross_site_request","message":"this change was sent by a page of another site and was refused; '
    b"send it from Tilth's own pages or from a program\"}}"
)
LOOPBACK_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]"))


class Protection:
    """Refuses foreign Host headers (a page of another site could otherwise reach a loopback server by DNS rebinding), and adds
    security headers to every answer that does not bring its own.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers: Any = dict(scope["headers"])
        # Of two Host headers this would check one, and a link could be made from the other.
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._known(hosts[0].decode("latin-1")):
            await _refuse(send, 400, _UNKNOWN_HOST)
            return
        if scope["method"] not in SAFE_METHODS and sent_by_foreign_page(headers):
            await _refuse(send, 403, _CROSS_SITE)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in present)]
            await send(message)

        await self._app(scope, receive, protected)

    def _known(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):
            head, colon, port = name.rpartition(":")
            name = head if colon and port.isdigit() else name
        return name in self._hosts


def sent_by_foreign_page(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser says that another site's page made the request. Programs say nothing, and are not browsers.

    The guard asks more of a request with a session cookie. This also holds for credentials that a browser adds by itself because
    they once stood in an address (`http://user:token@host/`), and for addresses that take none.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    return origin is not None and origin.rpartition(b"//")[2].lower() != headers.get(b"host", b"").lower()


async def _refuse(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
