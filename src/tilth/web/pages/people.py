"""Users and service accounts of the organisation: who there is, their role, their way in, and whether they are let in at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.clock import Millis
from tilth.domains.identity import actions, queries
from tilth.domains.identity.rules import org_role_named
from tilth.domains.identity.types import MODEL_SERVER, PrincipalRecord, Token
from tilth.guard import SCOPES, AccessTo, OrgRole, Permission, get, post
from tilth.web.pages.frame import Asked, Form, back, curl, may, read_form, shell
from tilth.web.pages.settings import days_of
from tilth.web.render import page

ORG_ROLES = [role.word for role in OrgRole]
MAX_SHOWN_TOKENS = 50


@dataclass(frozen=True, slots=True)
class ShownOnce:
    """A secret on the page that answers the form, and on no other."""

    title: str
    text: str


@get("/settings/users", permission=Permission.USER_READ)
async def users_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    return await _users(request, access)


@post("/settings/users", permission=Permission.USER_MANAGE)
async def create_user(request: Asked, access: AccessTo[None]) -> Response[str]:
    """A person gets a set-up link at once; it is shown on the answer and stands in no address."""
    form = await read_form(request)
    name, kind, role = (
        form.text("name"),
        "service" if form.text("kind") == "service" else "user",
        form.text("org_role") or "member",
    )

    def create(tx: Tx) -> tuple[str, Millis] | None:
        actions.create_principal(tx, access.actor, name, kind=kind, org_role=org_role_named(role))  # type: ignore[arg-type]
        return actions.create_setup_link(tx, access.actor, name) if kind == "user" else None

    link = await access.write(create)
    shown = _link(request, name, link) if link is not None else None
    return await _users(request, access, shown=shown, opened=name if kind == "service" else "")


@post("/settings/users/{name:str}", permission=Permission.USER_MANAGE)
async def update_user(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    form = await read_form(request)
    active = {"activate": True, "deactivate": False}.get(form.text("state"))
    role = form.text("org_role") or None
    await access.write(lambda tx: actions.update_principal(tx, access.actor, name, org_role=role, active=active))
    access.forget()
    return back("/settings/users", "saved")


@post("/settings/users/{name:str}/reset", permission=Permission.USER_MANAGE)
async def reset_password(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    link = await access.write(lambda tx: actions.create_setup_link(tx, access.actor, name))
    return await _users(request, access, shown=_link(request, name, link))


@post("/settings/users/{name:str}/tokens", permission=Permission.USER_MANAGE)
async def create_service_token(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    form: Form = await read_form(request)
    days = days_of(form.text("days"))
    token, secret = await access.write(
        lambda tx: actions.create_token(
            tx,
            access.principal,
            form.text("token"),
            scopes=form.many("scope"),
            project=form.text("project") or None,
            expires_in_days=days,
            principal=name,
        )
    )
    title = f"Token {token.name} for {name} is made. Copy it now: it is not kept and will not be shown again."
    shown = ShownOnce(title, secret)
    return await _users(request, access, shown=shown, opened=name)


routes: list[Any] = [users_page, create_user, update_user, reset_password, create_service_token]


def _link(request: Asked, name: str, link: tuple[str, Millis]) -> ShownOnce:
    secret, _ = link
    address = f"{str(request.base_url).rstrip('/')}/login/setup/{secret}"
    return ShownOnce(f"Hand this link to {name}. It works once, for a day, and is not shown again.", address)


async def _users(request: Asked, access: AccessTo[None], *, shown: ShownOnce | None = None, opened: str = "") -> Response[str]:
    """opened: the service account whose tokens are unfolded."""
    may_manage = may(access, Permission.USER_MANAGE)

    def ask(tx: Tx) -> tuple[list[PrincipalRecord], dict[str, list[Token]]]:
        found = queries.principals_across_projects(tx)
        services = [user for user in found if user.kind == "service"][:MAX_SHOWN_TOKENS] if may_manage else []
        return found, {user.name: queries.tokens_of(tx, user.id)[:MAX_SHOWN_TOKENS] for user in services}

    users, tokens = await access.read(ask)
    return page(
        "users.html",
        await shell(request, access, "users", [("Users", "")]),
        people=[user for user in users if user.kind == "user"],
        services=[user for user in users if user.kind == "service" and user.name != MODEL_SERVER],
        tokens=tokens,
        scopes=sorted(SCOPES),
        org_roles=ORG_ROLES,
        shown=shown,
        opened=opened,
        me=access.actor.name,
        may_manage=may_manage,
        snippets=[("CLI", "tilth user list --json"), ("curl", curl("/api/v1/users"))],
    )
