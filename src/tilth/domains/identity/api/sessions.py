"""Signing a browser in and out: by the link that the CLI makes on the server's own machine, or by name and password."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect

from tilth.core.clock import now
from tilth.domains.identity import actions, queries
from tilth.domains.identity.actions import Doorkeeper
from tilth.domains.identity.api.cookies import session_cookie, visitor_of, without_session
from tilth.domains.identity.types import Session
from tilth.guard import AccessTo, Permission, Principal, delete, get, post, put
from tilth.wire.identity import ChangePassword, LoginLink, SessionsEnded, SessionView, SetUpLink, SignedIn, SignIn

Browser = Request[Any, Any, Any]


@post("/api/v1/login-links", permission=Permission.LOGIN_LINK)
async def create_login_link(access: AccessTo[None], request: Browser) -> LoginLink:
    """A link that signs the caller's browser in, good once and for 5 minutes."""
    secret, expires = await access.write(lambda tx: actions.create_login_link(tx, access.principal))
    return LoginLink(url=f"{_base(request)}/login/{secret}", expires=expires)


@get("/login/{secret:str}", permission=Permission.PUBLIC, include_in_schema=False)
async def sign_in_by_link(access: AccessTo[None], secret: FromPath[str], request: Browser) -> Response[None]:
    """Uses the link up, starts a session and goes on to the pages."""
    started = await access.database.write(lambda tx: actions.sign_in_by_link(tx, secret, visitor_of(request)))
    access.forget()
    answer = Redirect("/", status_code=303)
    answer.set_cookie(session_cookie(request, started))
    return answer


@post("/logout", permission=Permission.SIGNED_IN, include_in_schema=False)
async def sign_out(access: AccessTo[None], request: Browser) -> Response[None]:
    await access.write(lambda tx: actions.sign_out(tx, access.principal))
    access.forget()
    answer = Redirect("/login", status_code=303)
    answer.set_cookie(without_session(request))
    return answer


@post("/api/v1/sessions", permission=Permission.PUBLIC)
async def sign_in(access: AccessTo[None], data: JSONBody[SignIn], request: Browser) -> Response[SignedIn]:
    """By name and password. The session comes as a cookie; programs use a token instead."""
    door: Doorkeeper = request.app.state["tilth_doorkeeper"]
    started = await door.sign_in(data.name, data.password, visitor_of(request))
    access.forget()
    answer = Response(SignedIn(started.id, started.name, started.expires), status_code=201)
    answer.set_cookie(session_cookie(request, started))
    return answer


@get("/api/v1/sessions", permission=Permission.SESSION_READ)
async def list_sessions(access: AccessTo[None]) -> list[SessionView]:
    """The caller's own browsers, newest first."""
    found = await access.read(lambda tx: queries.sessions_of(tx, access.actor.id, now()))
    return [session_view(session, access.principal) for session in found]


@delete("/api/v1/sessions", permission=Permission.SESSION_END, status_code=200)
async def end_sessions(access: AccessTo[None]) -> SessionsEnded:
    """Signs the caller out everywhere, also here."""
    ended = await access.write(lambda tx: actions.end_sessions(tx, access.principal))
    access.forget()
    return SessionsEnded(ended)


@delete("/api/v1/sessions/{session_id:str}", permission=Permission.SESSION_END)
async def end_session(access: AccessTo[None], session_id: FromPath[str]) -> None:
    await access.write(lambda tx: actions.end_session(tx, access.principal, session_id))
    access.forget()


@put("/api/v1/password", permission=Permission.PASSWORD_CHANGE, status_code=204)
async def change_password(access: AccessTo[None], data: JSONBody[ChangePassword], request: Browser) -> None:
    """The caller's own. Ends the caller's other sessions."""
    door: Doorkeeper = request.app.state["tilth_doorkeeper"]
    checked = await door.prove(access.principal, data.current)
    new_hash = await door.new_hash(data.new, access.actor.name)
    await access.write(lambda tx: actions.change_password(tx, access.principal, checked, new_hash))
    access.forget()


@post("/api/v1/users/{name:str}/setup-links", permission=Permission.USER_MANAGE)
async def create_setup_link(access: AccessTo[None], name: FromPath[str], request: Browser) -> SetUpLink:
    """A link with which a person chooses a password, good once and for a day. The password so far stays good until then."""
    secret, expires = await access.write(lambda tx: actions.create_setup_link(tx, access.actor, name))
    return SetUpLink(name, f"{_base(request)}/login/setup/{secret}", expires)


routes = [
    create_login_link,
    sign_in_by_link,
    sign_out,
    sign_in,
    list_sessions,
    end_sessions,
    end_session,
    change_password,
    create_setup_link,
]


def session_view(session: Session, caller: Principal) -> SessionView:
    return SessionView(
        id=session.id,
        created=session.created,
        expires=session.expires,
        address=session.address,
        browser=session.browser,
        last_used=session.last_used,
        current=caller.actor.via == f"session:{session.id}",
    )


def _base(request: Browser) -> str:
    return str(request.base_url).rstrip("/")
