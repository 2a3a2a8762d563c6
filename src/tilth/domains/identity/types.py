"""Projects, principals, tokens and sessions as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from tilth.core.events import Event
from tilth.guard.permissions import OrgRole, Role, Scope

PrincipalKind = Literal["user", "service"]
TOPIC = "identity"
"""Announced by every change of credentials and roles, so that the model servers hear of it at once."""

TokenKind = Literal["personal", "local", "run", "plane"]


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    name: str
    description: str
    created: Millis
    archived: Millis | None


@dataclass(frozen=True, slots=True)
class PrincipalRecord:
    """A user or a service account."""

    id: str
    name: str
    kind: PrincipalKind
    org_role: OrgRole
    active: bool
    created: Millis


@dataclass(frozen=True, slots=True)
class Member:
    principal_id: str
    name: str
    kind: PrincipalKind
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never its secret, only the SHA-256 of it."""

    id: str
    name: str
    prefix: str
    principal_id: str
    principal_name: str
    scopes: frozenset[Scope]
    project_id: str | None
    project_name: str | None
    kind: TokenKind
    created: Millis
    expires: Millis
    last_used: Millis | None
    revoked: Millis | None


@dataclass(frozen=True, slots=True)
class ProjectCreated(Event):
    """A project is there, with its creator as owner."""

    name: ClassVar[str] = "project.created"
    project_id: str
    project_name: str


class ProjectExists(Conflict):
    """The name is taken, perhaps by an archived project."""


class NoSuchProject(NotFound):
    """No project of this name."""


class NoSuchPrincipal(NotFound):
    """No user or service account of this name."""


class PrincipalExists(Conflict):
    """The name of the user or service account is taken."""


class NoSuchToken(NotFound):
    """No token with this id that the caller may see."""


class LastOwner(Conflict):
    """The change would leave a project without an owner, or the organisation without an admin."""


class UnknownRole(Invalid):
    """A word that names no role."""


class UnknownScope(Invalid):
    """A word that names no scope."""


class BeyondOwnRights(Denied):
    """Somebody tried to hand on a right that he does not hold."""


class BadCredentials(Unauthenticated):
    """A token or session that is unknown, expired or revoked, or whose principal was deactivated."""


class LinkUsed(Unauthenticated):
    """A one-time login link that is unknown, used or too old."""
