"""Our own API of projects, members, users and tokens."""

from __future__ import annotations

from typing import Any

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.domains.identity import actions, queries
from tilth.domains.identity.rules import org_role_named, permission_named
from tilth.domains.identity.types import Member, PrincipalRecord, Project, Token
from tilth.guard import AccessTo, Permission, Principal, delete, get, patch, post, put
from tilth.wire.identity import (
    AccessAnswer,
    CreateProject,
    CreateToken,
    CreateUser,
    MemberView,
    NewToken,
    ProjectView,
    SetMember,
    TokenView,
    UpdateProject,
    UpdateUser,
    UserView,
    WhoAmI,
)


@get("/api/v1/whoami", permission=Permission.SIGNED_IN)
async def whoami(access: AccessTo[None]) -> WhoAmI:
    caller = access.principal
    projects = await access.read(lambda tx: _own_projects(tx, caller))
    return WhoAmI(
        id=caller.actor.id,
        name=caller.actor.name,
        kind=caller.actor.kind,
        org_role=caller.org_role.word,
        scopes=tuple(sorted(caller.scopes)),
        default_project=caller.default_project.name if caller.default_project else None,
        projects=tuple(projects),
    )


@get("/api/v1/projects", permission=Permission.SIGNED_IN)
async def list_projects(access: AccessTo[None]) -> list[ProjectView]:
    """The projects that the caller belongs to, oldest first, archived ones last."""
    return await access.read(lambda tx: _own_projects(tx, access.principal))


@post("/api/v1/projects", permission=Permission.PROJECT_CREATE)
async def create_project(access: AccessTo[None], data: JSONBody[CreateProject]) -> ProjectView:
    project = await access.write(lambda tx: actions.create_project(tx, access.actor, data.name, data.description))
    access.forget()
    return project_view(project, "owner")


@get("/api/v1/projects/{project:str}", permission=Permission.PROJECT_READ)
async def show_project(access: AccessTo[None]) -> ProjectView:
    return await access.read(lambda tx: _shown(tx, access.principal, access.project.name))


@patch("/api/v1/projects/{project:str}", permission=Permission.PROJECT_UPDATE)
async def update_project(access: AccessTo[None], data: JSONBody[UpdateProject]) -> ProjectView:
    """Changes the description; `archived: true` hides the project without deleting anything, `false` takes it back."""
    name = access.project.name

    def change(tx: Tx) -> ProjectView:
        actions.update_project(tx, access.actor, name, description=data.description, archived=data.archived)
        return _shown(tx, access.principal, name)

    return await access.write(change)


@delete("/api/v1/projects/{project:str}", permission=Permission.PROJECT_DELETE)
async def archive_project(access: AccessTo[None]) -> None:
    """Archives the project: it can be taken back by `PATCH` with `archived: false`."""
    await access.write(lambda tx: actions.update_project(tx, access.actor, access.project.name, archived=True))


@get("/api/v1/p/{project:str}/members", permission=Permission.MEMBER_READ)
async def list_members(access: AccessTo[None]) -> list[MemberView]:
    members = await access.read(lambda tx: queries.members_of(tx, access.project.id))
    return [member_view(member) for member in members]


@put("/api/v1/p/{project:str}/members/{name:str}", permission=Permission.MEMBER_MANAGE)
async def set_member(access: AccessTo[None], name: FromPath[str], data: JSONBody[SetMember]) -> list[MemberView]:
    def change(tx: Tx) -> list[Member]:
        actions.set_member(tx, access.principal, access.project.id, name, data.role)
        return queries.members_of(tx, access.project.id)

    members = await access.write(change)
    access.forget()
    return [member_view(member) for member in members]


@delete("/api/v1/p/{project:str}/members/{name:str}", permission=Permission.MEMBER_MANAGE)
async def remove_member(access: AccessTo[None], name: FromPath[str]) -> None:
    await access.write(lambda tx: actions.remove_member(tx, access.actor, access.project.id, name))
    access.forget()


@get("/api/v1/p/{project:str}/access", permission=Permission.MEMBER_READ)
async def explain_access(access: AccessTo[None], principal: FromQuery[str], permission: FromQuery[str]) -> AccessAnswer:
    """Whether somebody may do something here, and why: `?principal=ada&permission=run.write`."""
    wanted, project = permission_named(permission), access.project
    allowed, why = await access.read(lambda tx: queries.explained(tx, project.id, project.name, principal, wanted))
    return AccessAnswer(principal, str(wanted), allowed, why)


@get("/api/v1/users", permission=Permission.USER_READ)
async def list_users(access: AccessTo[None]) -> list[UserView]:
    return [user_view(user) for user in await access.read(queries.principals_across_projects)]


@post("/api/v1/users", permission=Permission.USER_MANAGE)
async def create_user(access: AccessTo[None], data: JSONBody[CreateUser]) -> UserView:
    """A user or service account; give it roles with `PUT .../members/{name}` and a token with `POST /api/v1/tokens`."""
    role = org_role_named(data.org_role)
    kind: Any = data.kind
    user = await access.write(lambda tx: actions.create_principal(tx, access.actor, data.name, kind=kind, org_role=role))
    return user_view(user)


@patch("/api/v1/users/{name:str}", permission=Permission.USER_MANAGE)
async def update_user(access: AccessTo[None], name: FromPath[str], data: JSONBody[UpdateUser]) -> UserView:
    user = await access.write(
        lambda tx: actions.update_principal(tx, access.actor, name, org_role=data.org_role, active=data.active)
    )
    access.forget()
    return user_view(user)


@get("/api/v1/tokens", permission=Permission.TOKEN_READ)
async def list_tokens(access: AccessTo[None], principal: FromQuery[str | None] = None) -> list[TokenView]:
    """The caller's own tokens, newest first; with `?principal=NAME`, for an admin, those of a service account."""

    def ask(tx: Tx) -> list[Token]:
        owner = access.actor.id if principal is None else actions.readable_owner(tx, access.principal, principal)
        return queries.tokens_of(tx, owner)

    return [token_view(token) for token in await access.read(ask)]


@post("/api/v1/tokens", permission=Permission.TOKEN_CREATE)
async def create_token(access: AccessTo[None], data: JSONBody[CreateToken]) -> NewToken:
    """The answer is the only place where the secret ever appears."""
    token, secret = await access.write(
        lambda tx: actions.create_token(
            tx,
            access.principal,
            data.name,
            scopes=data.scopes,
            project=data.project,
            expires_in_days=data.expires_in_days,
            principal=data.principal,
            run_id=data.run_id,
        )
    )
    return NewToken(token=token_view(token), secret=secret)


@delete("/api/v1/tokens/{token_id:str}", permission=Permission.TOKEN_REVOKE, status_code=200)
async def revoke_token(access: AccessTo[None], token_id: FromPath[str]) -> TokenView:
    token = await access.write(lambda tx: actions.revoke_token(tx, access.principal, token_id))
    access.forget()
    return token_view(token)


routes = [
    whoami,
    list_projects,
    create_project,
    show_project,
    update_project,
    archive_project,
    list_members,
    set_member,
    remove_member,
    explain_access,
    list_users,
    create_user,
    update_user,
    list_tokens,
    create_token,
    revoke_token,
]


def _own_projects(tx: Tx, caller: Principal) -> list[ProjectView]:
    visible = [project_id for project_id in caller.roles if caller.role_in(project_id) is not None]
    return [project_view(project, _role_word(caller, project)) for project in queries.projects_of(tx, visible)]


def _shown(tx: Tx, caller: Principal, name: str) -> ProjectView:
    project = queries.project_named(tx, name)
    assert project is not None
    return project_view(project, _role_word(caller, project))


def _role_word(caller: Principal, project: Project) -> str:
    role = caller.role_in(project.id)  # type: ignore[arg-type]
    return role.word if role is not None else ""


def project_view(project: Project, role: str) -> ProjectView:
    return ProjectView(project.id, project.name, project.description, project.created, role, project.archived is not None)


def member_view(member: Member) -> MemberView:
    return MemberView(member.principal_id, member.name, member.kind, member.role.word)


def user_view(user: PrincipalRecord) -> UserView:
    return UserView(
        id=user.id,
        name=user.name,
        kind=user.kind,
        org_role=user.org_role.word,
        active=user.active,
        created=user.created,
        last_seen=user.last_seen,
        has_password=user.has_password,
    )


def token_view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        prefix=f"tilth_{token.prefix}",
        principal=token.principal_name,
        scopes=tuple(sorted(token.scopes)),
        project=token.project_name,
        created=token.created,
        expires=token.expires,
        last_used=token.last_used,
        revoked=token.revoked,
        kind=token.kind,
    )
