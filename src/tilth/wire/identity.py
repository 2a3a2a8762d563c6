"""Documents of projects, members, tokens and the audit trail in our own API."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Description = Annotated[str, Meta(max_length=2000)]


class ProjectView(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str
    created: int
    role: str
    archived: bool = False


class CreateProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: Description = ""


class UpdateProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    description: Description | None = None
    archived: bool | None = None


class MemberView(msgspec.Struct, frozen=True):
    principal_id: str
    name: str
    kind: str
    role: str


class SetMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """role: viewer, developer, maintainer or owner."""

    role: str


class AccessAnswer(msgspec.Struct, frozen=True):
    """Whether somebody may do something in a project, and why."""

    principal: str
    permission: str
    allowed: bool
    why: str


class UserView(msgspec.Struct, frozen=True):
    """last_seen: when any credential of theirs was last used, a few seconds late."""

    id: str
    name: str
    kind: str
    org_role: str
    active: bool
    created: int
    last_seen: int | None = None
    has_password: bool = False


class CreateUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kind: `user` for a person, `service` for a program. org_role: member, auditor or admin."""

    name: str
    kind: str = "user"
    org_role: str = "member"


class UpdateUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    org_role: str | None = None
    active: bool | None = None


class TokenView(msgspec.Struct, frozen=True):
    """prefix: the readable start of the token, enough to recognise it. project: the only one in which it is good, or None."""

    id: str
    name: str
    prefix: str
    principal: str
    scopes: tuple[str, ...]
    project: str | None
    created: int
    expires: int
    last_used: int | None
    revoked: int | None
    kind: str


class CreateToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """expires_in_days: 1 to 365. principal: name of a service account to make it for (organisation admins); default yourself.

    run_id: a run-scoped token: bound to the project, good for at most 7 days.
    """

    name: str
    scopes: tuple[str, ...] = ("read", "write")
    project: str | None = None
    expires_in_days: Annotated[int, Meta(ge=1, le=365)] = 90
    principal: str | None = None
    run_id: str | None = None


class NewToken(msgspec.Struct, frozen=True):
    """The only answer that ever shows the secret."""

    token: TokenView
    secret: str


class WhoAmI(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: str
    org_role: str
    scopes: tuple[str, ...]
    default_project: str | None
    projects: tuple[ProjectView, ...]


class LoginLink(msgspec.Struct, frozen=True):
    """Good once, until `expires`."""

    url: str
    expires: int


class SetUpLink(msgspec.Struct, frozen=True):
    """Where a person chooses a password. Good once, until `expires`; shown to nobody again."""

    name: str
    url: str
    expires: int


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=1000)]


class SignedIn(msgspec.Struct, frozen=True):
    """The session itself is in the cookie that comes with this answer."""

    id: str
    name: str
    expires: int


class SessionView(msgspec.Struct, frozen=True):
    """A browser that is signed in. current: the one that asks."""

    id: str
    created: int
    expires: int
    address: str
    browser: str
    last_used: int | None
    current: bool


class SessionsEnded(msgspec.Struct, frozen=True):
    ended: int


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """current: the password so far; empty for an account that has none yet."""

    new: Annotated[str, Meta(max_length=1000)]
    current: Annotated[str, Meta(max_length=1000)] = ""


class AuditEventView(msgspec.Struct, frozen=True):
    id: str
    position: int | None
    at: int
    actor: str
    actor_kind: str
    via: str
    address: str
    action: str
    outcome: str
    project_id: str | None
    thing: str
    detail: dict[str, Any]
    hash: str | None


class AuditPage(msgspec.Struct, frozen=True):
    """next: hand it back as `before` for the older page; None at the end."""

    events: tuple[AuditEventView, ...]
    next: str | None
    total: int
