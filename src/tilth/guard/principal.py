"""Who asks, where, and whether he may. Pure: the back end that knows tokens and sessions stands behind `Gate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tilth.core.actors import Actor
from tilth.core.errors import Denied, NotFound, Unauthenticated
from tilth.core.ids import ProjectId
from tilth.guard.permissions import NEEDS, OF_RUNS, OrgRole, Permission, Role, Scope

T = TypeVar("T")


class LoginRequired(Unauthenticated):
    """The request carries no credentials."""

    def __init__(self) -> None:
        super().__init__(
            "no credentials: send 'Authorization: Bearer <token>' (`tilth env` prints yours) or open the link of `tilth open`"
        )


class UnknownProject(NotFound):
    """No such project, or the caller is not a member of it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no project {name[:80]!r} that you belong to; `tilth project list` shows yours")


class RoleTooLow(Denied):
    """The caller is a member, but the permission asks for a higher role."""


class NotForRuns(Denied):
    """The token is a run's, and the permission is none that a run needs."""


class ScopeMissing(Denied):
    """The token was made without the scope that the permission asks for."""


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """A project as the guard and the routes know it."""

    id: ProjectId
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    roles: his role per project id. scopes: of his token, or all of them for a session.
    bound_to: the only project in which the credential is good, None for all of his. by_cookie: a browser session, whose changes
    must come from our own pages. default_project: where a request that names no project goes. run_id: the only run that the
    credential may write, with its children; None for credentials that are no run's.
    """

    actor: Actor
    org_role: OrgRole
    roles: Mapping[ProjectId, Role]
    scopes: frozenset[Scope]
    bound_to: ProjectId | None = None
    by_cookie: bool = False
    default_project: ProjectRef | None = None
    run_id: str | None = None

    def role_in(self, project: ProjectId) -> Role | None:
        if self.bound_to is not None and self.bound_to != project:
            return None
        return self.roles.get(project)

    def may(self, permission: Permission, project: ProjectId | None = None) -> bool:
        try:
            check(self, permission, ProjectRef(project, "") if project else None)
        except (Denied, NotFound):
            return False
        return True


ANONYMOUS = Principal(
    actor=Actor(id="anonymous", name="anonymous", kind="system", via="none"),
    org_role=OrgRole.MEMBER,
    roles={},
    scopes=frozenset(),
)
"""Stands behind requests to public routes."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought: a bearer token or a session cookie, and where it came from."""

    token: str | None
    session: str | None
    address: str


class Gate(Protocol):
    """Knows tokens, sessions, projects and roles. `identity` implements it, `app` wires it."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Raises Unauthenticated. May answer from a memory that is at most a few seconds old."""
        ...

    async def project(self, name: str) -> ProjectRef | None: ...

    def recheck(self, tx: Any, principal: Principal, permission: Permission, project: ProjectRef | None) -> None:
        """Inside a write: the credential is still good and the role still held. Raises Unauthenticated, Denied, NotFound."""
        ...

    def forget(self) -> None:
        """Drops what is remembered of credentials, roles and projects, after one of them was changed."""
        ...

    async def refused(self, principal: Principal, route: str, permission: Permission, project: ProjectRef | None) -> None:
        """Leaves one audit row per principal, route and minute. An outsider does not wait for it: the time that it takes would tell him
        that the project exists."""
        ...


class Transactions(Protocol):
    """The part of the database that the guard hands to handlers."""

    async def read(self, fn: Callable[[Any], T]) -> T: ...

    async def write(self, fn: Callable[[Any], T]) -> T: ...


def check(principal: Principal, permission: Permission, project: ProjectRef | None) -> None:
    """Raises UnknownProject for those outside the project, ScopeMissing or RoleTooLow for those inside."""
    needs = NEEDS[permission]
    if project is not None:
        _check_role(principal, permission, project)
    elif needs.role is not None:
        raise LookupError(f"permission {permission} needs a project, but the route names none")
    if needs.scope is not None and needs.scope not in principal.scopes:
        raise ScopeMissing(
            f"this token lacks the scope {needs.scope!r}, which {permission} needs; it has: {', '.join(sorted(principal.scopes))}. "
            "Make another with `tilth token create --scope`"
        )
    if principal.run_id is not None and permission not in OF_RUNS:
        raise NotForRuns(
            f"this is the token of run {principal.run_id}: it writes that run, its children and models, reads its project and "
            f"predicts; {permission} takes a person's or a service account's token"
        )
    if needs.org_role is not None and (principal.org_role < needs.org_role or principal.bound_to is not None):
        raise RoleTooLow(
            f"{permission} needs the organisation role {needs.org_role.word!r}; you are {principal.org_role.word!r}"
            + (" and this token is bound to one project" if principal.bound_to else "")
        )


def _check_role(principal: Principal, permission: Permission, project: ProjectRef) -> None:
    role = principal.role_in(project.id)
    if role is None:
        raise UnknownProject(project.name)
    least = NEEDS[permission].role
    if least is not None and role < least:
        raise RoleTooLow(f"{permission} in project {project.name!r} needs the role {least.word!r}; you are {role.word!r}")
