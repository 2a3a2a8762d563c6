"""One's own account: password, signed-in browsers, and where the tokens are."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.identity import actions, queries
from tilth.domains.identity.actions import Doorkeeper
from tilth.domains.identity.api.cookies import without_session
from tilth.domains.identity.rules import MIN_PASSWORD_CHARS
from tilth.domains.identity.types import PrincipalRecord, Project, Session, Token, WeakPassword
from tilth.guard import AccessTo, Permission, get, post
from tilth.web.pages.frame import Asked, back, curl, may, read_form, shell
from tilth.web.render import page


@get("/account", permission=Permission.SESSION_READ)
async def account_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    caller = access.principal

    def ask(tx: Tx) -> tuple[PrincipalRecord | None, list[Session], list[Token], list[Project]]:
        id_, inside = caller.actor.id, [project for project in caller.roles if caller.role_in(project) is not None]
        projects = queries.projects_of(tx, inside)
        return queries.principal_by_id(tx, id_), queries.sessions_of(tx, id_, now()), queries.tokens_of(tx, id_), projects

    me, sessions, tokens, projects = await access.read(ask)
    roles = [(project.name, caller.roles[ProjectId(project.id)].word) for project in projects]
    good = [token for token in tokens if token.revoked is None and token.expires > now()]
    return page(
        "account.html",
        await shell(request, access, "account", [("Account", "")]),
        me=me,
        org_role=caller.org_role.word,
        roles=roles,
        sessions=sessions,
        current=caller.actor.via.removeprefix("session:"),
        tokens=len(good),
        least=MIN_PASSWORD_CHARS,
        may_change=may(access, Permission.PASSWORD_CHANGE) and me is not None and me.kind == "user" and caller.bound_to is None,
        may_end=may(access, Permission.SESSION_END),
        snippets=[("CLI", "tilth session list"), ("curl", curl("/api/v1/sessions"))],
    )


@post("/account/password", permission=Permission.PASSWORD_CHANGE)
async def change_password(request: Asked, access: AccessTo[None]) -> Redirect:
    form = await read_form(request)
    door: Doorkeeper = request.app.state["tilth_doorkeeper"]
    if form.exact("new") != form.exact("again"):
        raise WeakPassword("the two new passwords differ: type the same one twice")
    checked = await door.prove(access.principal, form.exact("current"))
    new_hash = await door.new_hash(form.exact("new"), access.actor.name)
    await access.write(lambda tx: actions.change_password(tx, access.principal, checked, new_hash))
    access.forget()
    return back("/account", "password")


@post("/account/sessions/end-all", permission=Permission.SESSION_END)
async def end_sessions(request: Asked, access: AccessTo[None]) -> Redirect:
    await access.write(lambda tx: actions.end_sessions(tx, access.principal))
    access.forget()
    answer = Redirect("/login", status_code=303)
    answer.set_cookie(without_session(request))
    return answer


@post("/account/sessions/{session_id:str}/end", permission=Permission.SESSION_END)
async def end_session(access: AccessTo[None], session_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.end_session(tx, access.principal, session_id))
    access.forget()
    return back("/account", "ended")


routes: list[Any] = [account_page, change_password, end_sessions, end_session]
