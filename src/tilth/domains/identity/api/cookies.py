"""The cookie of a session, and what a request says about the browser that sent it."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from tilth.core.clock import SECOND, now
from tilth.domains.identity.types import StartedSession, Visitor
from tilth.guard.requests import SECURE_SESSION_COOKIE, SESSION_COOKIE, credentials_of

Browser = Request[Any, Any, Any]


def visitor_of(request: Browser) -> Visitor:
    brought = credentials_of(request)
    return Visitor(brought.address, request.headers.get("user-agent", ""), brought.session)


def session_cookie(request: Browser, started: StartedSession) -> Cookie:
    return _cookie(request, started.secret, (started.expires - now()) // SECOND)


def without_session(request: Browser) -> Cookie:
    """Makes the browser forget the session."""
    return _cookie(request, "", 0)


def _cookie(request: Browser, value: str, max_age_s: int) -> Cookie:
    """Under TLS the `__Host-` name, which no other host can set; browsers drop it on plain http, so a laptop gets the plain name."""
    secure = request.scope["scheme"] == "https"
    name = SECURE_SESSION_COOKIE if secure else SESSION_COOKIE
    # Lax, not strict: the browser must send it on the first page after the link from a terminal.
    return Cookie(key=name, value=value, path="/", max_age=max_age_s, secure=secure, httponly=True, samesite="lax")
