"""Signing a browser in and out. A password never crosses the wire on a laptop: the CLI, which can read the home, makes a link."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.core.clock import SECOND, now
from tilth.domains.identity import actions
from tilth.guard import AccessTo, Permission, get, post
from tilth.guard.requests import SECURE_SESSION_COOKIE, SESSION_COOKIE
from tilth.wire.identity import LoginLink

Browser = Request[Any, Any, Any]


@post("/api/v1/login-links", permission=Permission.LOGIN_LINK)
async def create_login_link(access: AccessTo[None], request: Browser) -> LoginLink:
    """A link that signs the caller's browser in, good once and for 5 minutes."""
    secret, expires = await access.write(lambda tx: actions.create_login_link(tx, access.principal))
    return LoginLink(url=f"{str(request.base_url).rstrip('/')}/login/{secret}", expires=expires)


@get("/login/{secret:str}", permission=Permission.PUBLIC, include_in_schema=False)
async def sign_in_by_link(access: AccessTo[None], secret: FromPath[str], request: Browser) -> Response[None]:
    """Uses the link up, starts a session and goes on to the pages."""
    address = request.client.host if request.client else ""
    session, expires = await access.database.write(lambda tx: actions.sign_in_by_link(tx, secret, address))
    answer = Redirect("/", status_code=303)
    answer.set_cookie(_cookie(request, session, (expires - now()) // SECOND))
    return answer


@post("/logout", permission=Permission.SIGNED_IN, include_in_schema=False)
async def sign_out(access: AccessTo[None], request: Browser) -> Response[None]:
    await access.write(lambda tx: actions.sign_out(tx, access.principal))
    access.forget()
    answer = Redirect("/login", status_code=303)
    answer.set_cookie(_cookie(request, "", 0))
    return answer


routes = [create_login_link, sign_in_by_link, sign_out]


def _cookie(request: Browser, value: str, max_age_s: int) -> Cookie:
    """Under TLS the `__Host-` name, which no other host can set; browsers drop it on plain http, so a laptop gets the plain name."""
    secure = request.scope["scheme"] == "https"
    name = SECURE_SESSION_COOKIE if secure else SESSION_COOKIE
    # Lax, not strict: the browser must send it on the first page after the link from a terminal.
    return Cookie(key=name, value=value, path="/", max_age=max_age_s, secure=secure, httponly=True, samesite="lax")
