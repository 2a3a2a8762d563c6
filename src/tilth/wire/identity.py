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


class UserView(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: str
    org_role: str
    active: bool
    created: int


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
