"""Projects, principals, tokens and sessions as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Denied, Invalid, NotFound, TooMany, Unauthenticated, Unavailable
from tilth.core.events import Event
from tilth.guard.permissions import OrgRole, Role, Scope

PrincipalKind = Literal["user", "service"]
TOPIC = "identity"
"""Announced by every change of credentials and roles, so that the model servers hear of it at once."""

MODEL_SERVER = "model-server"
"""Tilth's own service account, as which the model servers fetch models."""

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
    """A user or a service account. last_seen: of any of its credentials, a few seconds late."""

    id: str
    name: str
    kind: PrincipalKind
    org_role: OrgRole
    active: bool
    created: Millis
    last_seen: Millis | None = None
    has_password: bool = False


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
class Session:
    """A browser that is signed in. browser: what it calls itself."""

    id: str
    principal_id: str
    created: Millis
    expires: Millis
    address: str
    browser: str
    last_used: Millis | None


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """What a sign-in needs to know of a user. hash: None if there is no password."""

    principal_id: str
    name: str
    kind: PrincipalKind
    active: bool
    hash: str | None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a sign-in comes from. old_secret: of the session that the browser still carries, which the new one replaces."""

    address: str
    browser: str = ""
    old_secret: str | None = None


@dataclass(frozen=True, slots=True)
class StartedSession:
    """secret: goes into the browser's cookie, and is kept nowhere."""

    id: str
    name: str
    secret: str
    expires: Millis


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


class WeakPassword(Invalid):
    """A new password that others would guess."""


class WrongPassword(Unauthenticated):
    """Name and password do not belong together. Says the same for a name that nobody has."""

    def __init__(self) -> None:
        super().__init__(
            "this name and this password do not belong together; an admin makes a new link with `tilth user reset NAME`"
        )


class TooManyAttempts(TooMany):
    """Wrong passwords for one name or from one address at a rate at which nobody types."""


class SignInBusy(Unavailable):
    """More people sign in at this moment than the server has memory for."""


class IsDeactivated(Conflict):
    """Something was to be made for an account that is let in nowhere."""


class NotAPerson(Conflict):
    """A service account was treated as somebody who signs in."""


class NoSuchSession(NotFound):
    """No session with this id that is the caller's own."""


class UnknownPermission(Invalid):
    """A word that names no permission."""
