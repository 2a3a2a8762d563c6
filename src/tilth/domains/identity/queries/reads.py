"""Who is who, who belongs where, and whether a credential is still good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from tilth.backends.sql import Tx, hot
from tilth.core.clock import Millis
from tilth.core.ids import ProjectId
from tilth.domains.identity.rules import explain
from tilth.domains.identity.tables import membership, principal, project, session, token
from tilth.domains.identity.types import Member, NoSuchPrincipal, PrincipalRecord, Project, Token
from tilth.guard import OrgRole, Permission, ProjectRef, Role, Scope

MAX_ROWS = 1000

_PROJECT = [project.c[name] for name in ("id", "name", "description", "created", "archived")]
_PRINCIPAL = [
    *(principal.c[name] for name in ("id", "name", "kind", "org_role", "active", "created", "last_seen")),
    principal.c.password_hash.is_not(None).label("has_password"),
]
_TOKEN_COLUMNS = [
    token.c[name]
    for name in (
        "id",
        "name",
        "prefix",
        "principal_id",
        "scopes",
        "project_id",
        "kind",
        "created",
        "expires",
        "last_used",
        "revoked",
    )
]


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A good token or session and its principal. id: of the token or session."""

    id: str
    principal_id: str
    principal_name: str
    principal_kind: str
    org_role: OrgRole
    scopes: frozenset[Scope] | None
    project_id: str | None
    kind: str
    run_id: str | None


def credential_by_token(tx: Tx, sha256: str, now: Millis) -> CredentialRow | None:
    """None unless the token is known, neither expired nor revoked, and its principal active."""
    row = tx.one(_TOKEN, sha256=sha256, now=now)
    return _credential(row, row.kind, frozenset(row.scopes.split())) if row is not None else None


def credential_by_session(tx: Tx, sha256: str, now: Millis) -> CredentialRow | None:
    row = tx.one(_SESSION, sha256=sha256, now=now)
    return _credential(row, "session", None) if row is not None else None


_PRINCIPAL_COLUMNS = (
    principal.c.id.label("principal_id"),
    principal.c.name.label("principal_name"),
    principal.c.kind.label("principal_kind"),
    principal.c.org_role,
)
_TOKEN = hot(
    select(token.c.id, token.c.scopes, token.c.kind, token.c.project_id, token.c.run_id, *_PRINCIPAL_COLUMNS)
    .join(principal, principal.c.id == token.c.principal_id)
    .where(
        token.c.sha256 == bindparam("sha256"),
        token.c.revoked.is_(None),
        token.c.expires > bindparam("now"),
        principal.c.active,
    )
)
_SESSION = hot(
    select(session.c.id, *_PRINCIPAL_COLUMNS)
    .join(principal, principal.c.id == session.c.principal_id)
    .where(session.c.sha256 == bindparam("sha256"), session.c.expires > bindparam("now"), principal.c.active)
)


def _credential(row: Any, kind: str, scopes: frozenset[Scope] | None) -> CredentialRow:
    return CredentialRow(
        id=row.id,
        principal_id=row.principal_id,
        principal_name=row.principal_name,
        principal_kind=row.principal_kind,
        org_role=OrgRole(row.org_role),
        scopes=scopes,
        project_id=row.project_id if scopes is not None else None,
        kind=kind,
        run_id=row.run_id if scopes is not None else None,
    )


_STILL_TOKEN = hot(
    select(principal.c.org_role, membership.c.role)
    .select_from(
        token.join(principal, principal.c.id == token.c.principal_id).outerjoin(
            membership, and_(membership.c.principal_id == principal.c.id, membership.c.project_id == bindparam("project_id"))
        )
    )
    .where(token.c.id == bindparam("id"), token.c.revoked.is_(None), token.c.expires > bindparam("now"), principal.c.active)
)
_STILL_SESSION = hot(
    select(principal.c.org_role, membership.c.role)
    .select_from(
        session.join(principal, principal.c.id == session.c.principal_id).outerjoin(
            membership, and_(membership.c.principal_id == principal.c.id, membership.c.project_id == bindparam("project_id"))
        )
    )
    .where(session.c.id == bindparam("id"), session.c.expires > bindparam("now"), principal.c.active)
)


def standing(tx: Tx, *, kind: str, id_: str, project_id: str, now: Millis) -> tuple[OrgRole, Role | None] | None:
    """Present roles behind a token or session (`kind`), None if it is no longer good. One statement, by primary keys."""
    row = tx.one(_STILL_TOKEN if kind == "token" else _STILL_SESSION, id=id_, project_id=project_id, now=now)
    if row is None:
        return None
    return OrgRole(row.org_role), Role(row.role) if row.role is not None else None


_ROLES = hot(
    select(membership.c.project_id, membership.c.role)
    .join(project, project.c.id == membership.c.project_id)
    .where(membership.c.principal_id == bindparam("principal_id"))
    .order_by(project.c.created, project.c.id)
    .limit(MAX_ROWS)
)


def role_in_project(tx: Tx, project_id: str, principal_id: str) -> Role | None:
    found = tx.scalar(
        select(membership.c.role).where(membership.c.project_id == project_id, membership.c.principal_id == principal_id)
    )
    return Role(found) if found is not None else None


def roles_across_projects(tx: Tx, principal_id: str) -> dict[ProjectId, Role]:
    """Role per project, oldest project first."""
    return {ProjectId(row.project_id): Role(row.role) for row in tx.all(_ROLES, principal_id=principal_id)}


def project_named(tx: Tx, name: str) -> Project | None:
    row = tx.one(select(*_PROJECT).where(project.c.name == name))
    return _project(row) if row is not None else None


def project_ref(tx: Tx, project_id: str) -> ProjectRef | None:
    row = tx.one(select(project.c.id, project.c.name).where(project.c.id == project_id))
    return ProjectRef(ProjectId(row.id), row.name) if row is not None else None


def projects_of(tx: Tx, project_ids: Sequence[str]) -> list[Project]:
    """The named projects by age, archived ones last; at most 1,000."""
    rows = tx.all(
        select(*_PROJECT)
        .where(project.c.id.in_(list(project_ids)[:MAX_ROWS]))
        .order_by(project.c.archived.is_not(None), project.c.created, project.c.id)
    )
    return [_project(row) for row in rows]


def names_of_projects(tx: Tx, project_ids: Sequence[str]) -> dict[str, str]:
    return {found.id: found.name for found in projects_of(tx, project_ids)}


def principal_named(tx: Tx, name: str) -> PrincipalRecord:
    """Raises NoSuchPrincipal."""
    row = tx.one(select(*_PRINCIPAL).where(principal.c.name == name))
    if row is None:
        raise NoSuchPrincipal(f"no user or service account {name[:80]!r}; `tilth user list` shows them to admins")
    return _principal(row)


def is_principal_name_taken(tx: Tx, name: str) -> bool:
    return tx.one(select(principal.c.id).where(principal.c.name == name)) is not None


def principal_by_id(tx: Tx, principal_id: str) -> PrincipalRecord | None:
    row = tx.one(select(*_PRINCIPAL).where(principal.c.id == principal_id))
    return _principal(row) if row is not None else None


def principals_across_projects(tx: Tx) -> list[PrincipalRecord]:
    """Every user and service account of the organisation, by name; at most 1,000."""
    return [_principal(row) for row in tx.all(select(*_PRINCIPAL).order_by(principal.c.name).limit(MAX_ROWS))]


def first_admin_across_projects(tx: Tx) -> PrincipalRecord | None:
    """The oldest active admin: on a laptop the local owner."""
    row = tx.one(
        select(*_PRINCIPAL)
        .where(principal.c.org_role == int(OrgRole.ADMIN), principal.c.active, principal.c.kind == "user")
        .order_by(principal.c.created, principal.c.id)
        .limit(1)
    )
    return _principal(row) if row is not None else None


def members_of(tx: Tx, project_id: str) -> list[Member]:
    """Owners first, then by name; at most 1,000."""
    rows = tx.all(
        select(principal.c.id, principal.c.name, principal.c.kind, membership.c.role)
        .join(membership, membership.c.principal_id == principal.c.id)
        .where(membership.c.project_id == project_id)
        .order_by(membership.c.role.desc(), principal.c.name)
        .limit(MAX_ROWS)
    )
    return [Member(row.id, row.name, row.kind, Role(row.role)) for row in rows]


def explained(tx: Tx, project_id: str, project_name: str, name: str, permission: Permission) -> tuple[bool, str]:
    """Whether the principal of this name may do it in the project, and why."""
    row = tx.one(select(*_PRINCIPAL).where(principal.c.name == name))
    found = _principal(row) if row is not None else None
    role = role_in_project(tx, project_id, found.id) if found is not None else None
    return explain(name[:80], found, role, permission, project_name)


_TOKEN_VIEW = (
    select(*_TOKEN_COLUMNS, principal.c.name.label("principal_name"), project.c.name.label("project_name"))
    .join(principal, principal.c.id == token.c.principal_id)
    .outerjoin(project, project.c.id == token.c.project_id)
)


def tokens_of(tx: Tx, principal_id: str) -> list[Token]:
    """Newest first, revoked and expired ones too; at most 1,000. Tokens of Tilth's own processes are not shown."""
    rows = tx.all(
        _TOKEN_VIEW.where(token.c.principal_id == principal_id, token.c.kind != "plane")
        .order_by(token.c.created.desc(), token.c.id.desc())
        .limit(MAX_ROWS)
    )
    return [_token(row) for row in rows]


def token_by_id(tx: Tx, token_id: str) -> Token | None:
    row = tx.one(_TOKEN_VIEW.where(token.c.id == token_id))
    return _token(row) if row is not None else None


@dataclass(frozen=True, slots=True)
class PredictToken:
    """A good token with the scope `predict` and the projects in which it may."""

    sha256: str
    principal_id: str
    projects: tuple[str, ...]
    expires: Millis


def predict_tokens_across_projects(tx: Tx, now: Millis) -> list[PredictToken]:
    """Every credential that the model servers must know; one statement for tokens and memberships together."""
    rows = tx.all(
        select(token.c.sha256, token.c.principal_id, token.c.project_id.label("bound"), token.c.expires, membership.c.project_id)
        .join(principal, principal.c.id == token.c.principal_id)
        .join(membership, membership.c.principal_id == principal.c.id)
        .where(
            token.c.revoked.is_(None),
            token.c.expires > now,
            principal.c.active,
            token.c.scopes.contains("predict"),
            or_(token.c.project_id.is_(None), token.c.project_id == membership.c.project_id),
        )
        .order_by(token.c.sha256, membership.c.project_id)
    )
    found: dict[str, PredictToken] = {}
    for row in rows:
        known = found.get(row.sha256)
        projects = (*known.projects, row.project_id) if known else (row.project_id,)
        found[row.sha256] = PredictToken(row.sha256, row.principal_id, projects, row.expires)
    return list(found.values())


def _project(row: Any) -> Project:
    return Project(id=row.id, name=row.name, description=row.description, created=row.created, archived=row.archived)


def _principal(row: Any) -> PrincipalRecord:
    return PrincipalRecord(
        id=row.id,
        name=row.name,
        kind=row.kind,
        org_role=OrgRole(row.org_role),
        active=bool(row.active),
        created=row.created,
        last_seen=row.last_seen,
        has_password=bool(row.has_password),
    )


def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        principal_id=row.principal_id,
        principal_name=row.principal_name,
        scopes=frozenset(row.scopes.split()),
        project_id=row.project_id,
        project_name=row.project_name,
        kind=row.kind,
        created=row.created,
        expires=row.expires,
        last_used=row.last_used,
        revoked=row.revoked,
    )
