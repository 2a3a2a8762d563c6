"""Projects, their members, and tokens."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid
from tilth.domains.identity import actions, queries
from tilth.domains.identity.rules import permission_named
from tilth.guard import NEEDS, SCOPES, AccessTo, Permission, Role, get, post
from tilth.web.commands import shown_command
from tilth.web.pages.frame import Asked, back, curl, may, project_url, read_form, shell
from tilth.web.render import page

ROLE_WORDS = [role.word for role in Role]
PERMISSION_WORDS = sorted(str(permission) for permission, needs in NEEDS.items() if needs.role is not None)


class NotANumberOfDays(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:40]!r} is no number of days: give 1 to 365")


@get("/settings/projects", permission=Permission.SIGNED_IN)
async def projects_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    principal = access.principal
    roles = {id_: role for id_ in principal.roles if (role := principal.role_in(id_)) is not None}
    found = await access.read(lambda tx: queries.projects_of(tx, list(roles)))
    rows = [
        {
            "name": project.name,
            "description": project.description,
            "created": project.created,
            "archived": project.archived,
            "role": roles[project.id].word,  # type: ignore[index]
        }
        for project in found
    ]
    frame = await shell(request, access, "projects", [("Projects", "")])
    snippets = [("CLI", "tilth project list --json"), ("curl", curl("/api/v1/projects"))]
    return page("projects.html", frame, projects=rows, may_create=may(access, Permission.PROJECT_CREATE), snippets=snippets)


@post("/settings/projects", permission=Permission.PROJECT_CREATE)
async def create_project(request: Asked, access: AccessTo[None]) -> Redirect:
    form = await read_form(request)
    made = await access.write(lambda tx: actions.create_project(tx, access.actor, form.text("name"), form.text("description")))
    access.forget()
    return back(project_url(made.name), "created")


@get("/p/{project:str}/settings", permission=Permission.MEMBER_READ)
async def members_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project = access.project
    members = await access.read(lambda tx: queries.members_of(tx, project.id))
    record = await access.read(lambda tx: queries.project_named(tx, project.name))
    inside = {member.name for member in members}
    known: list[str] = []
    if may(access, Permission.USER_READ):
        known = [user.name for user in await access.read(queries.principals_across_projects) if user.name not in inside][:200]
    asked = (request.query_params.get("who", "").strip(), request.query_params.get("permission", ""))
    answer = await _may(access, *asked) if all(asked) else None
    return page(
        "members.html",
        await shell(request, access, "members", [("Members and roles", "")]),
        base=project_url(project.name, "settings"),
        members=members,
        roles=ROLE_WORDS,
        description=record.description if record is not None else "",
        may_manage=may(access, Permission.MEMBER_MANAGE),
        may_update=may(access, Permission.PROJECT_UPDATE),
        known=known,
        permissions=PERMISSION_WORDS,
        asked=asked,
        answer=answer,
        snippets=[
            ("CLI", shown_command("tilth", "project", "show", project.name, "--json")),
            ("curl", curl(f"/api/v1/p/{project.name}/members")),
        ],
    )


async def _may(access: AccessTo[None], who: str, word: str) -> tuple[bool, str]:
    project, wanted = access.project, permission_named(word)
    return await access.read(lambda tx: queries.explained(tx, project.id, project.name, who, wanted))


@post("/p/{project:str}/settings/members", permission=Permission.MEMBER_MANAGE)
async def set_member(request: Asked, access: AccessTo[None]) -> Redirect:
    form, project = await read_form(request), access.project
    name, remove = form.text("principal"), form.has("remove")

    def change(tx: Tx) -> None:
        if remove:
            actions.remove_member(tx, access.actor, project.id, name)
        else:
            actions.set_member(tx, access.principal, project.id, name, form.text("role"))

    await access.write(change)
    access.forget()
    return back(project_url(project.name, "settings"), "removed" if remove else "saved")


@post("/p/{project:str}/settings/description", permission=Permission.PROJECT_UPDATE)
async def describe_project(request: Asked, access: AccessTo[None]) -> Redirect:
    text, project = (await read_form(request)).text("description")[:2000], access.project
    await access.write(lambda tx: actions.update_project(tx, access.actor, project.name, description=text))
    return back(project_url(project.name, "settings"), "saved")


@get("/settings/tokens", permission=Permission.TOKEN_READ)
async def tokens_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    return await _tokens(request, access, None)


@post("/settings/tokens", permission=Permission.TOKEN_CREATE)
async def create_token(request: Asked, access: AccessTo[None]) -> Response[str]:
    """Answers with the page itself instead of going back to it: the secret is shown once and stands in no address."""
    form = await read_form(request)
    days = days_of(form.text("days"))
    token, secret = await access.write(
        lambda tx: actions.create_token(
            tx,
            access.principal,
            form.text("name"),
            scopes=form.many("scope"),
            project=form.text("project") or None,
            expires_in_days=days,
        )
    )
    return await _tokens(request, access, {"name": token.name, "text": secret})


@post("/settings/tokens/{token_id:str}/revoke", permission=Permission.TOKEN_REVOKE)
async def revoke_token(access: AccessTo[None], token_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.revoke_token(tx, access.principal, token_id))
    access.forget()
    return back("/settings/tokens", "revoked")


def days_of(text: str) -> int:
    """Of a form's field; 90 if it is empty. Raises NotANumberOfDays."""
    text = text or "90"
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 365):
        raise NotANumberOfDays(text)
    return int(text)


async def _tokens(request: Asked, access: AccessTo[None], secret: dict[str, str] | None) -> Response[str]:
    tokens = await access.read(lambda tx: queries.tokens_of(tx, access.actor.id))
    return page(
        "tokens.html",
        await shell(request, access, "tokens", [("Tokens", "")]),
        tokens=tokens,
        scopes=sorted(SCOPES),
        secret=secret,
        may_create=may(access, Permission.TOKEN_CREATE),
        may_revoke=may(access, Permission.TOKEN_REVOKE),
        snippets=[("CLI", "tilth token list --json"), ("curl", curl("/api/v1/tokens"))],
    )


routes: list[Any] = [
    projects_page,
    create_project,
    members_page,
    set_member,
    describe_project,
    tokens_page,
    create_token,
    revoke_token,
]
