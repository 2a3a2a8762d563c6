"""How secrets look, and what may be handed on."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping

from tilth.core.clock import DAY, MINUTE, Millis
from tilth.core.names import InvalidName
from tilth.domains.identity.types import (
    BeyondOwnRights,
    NotAPerson,
    PrincipalKind,
    PrincipalRecord,
    UnknownPermission,
    UnknownRole,
    UnknownScope,
)
from tilth.guard.permissions import NEEDS, SCOPES, OrgRole, Permission, Role, Scope
from tilth.guard.principal import Principal

TOKEN_PATTERN = re.compile(r"tilth_[a-z0-9]{8}_[A-Za-z0-9_-]{43}")
MAX_TOKEN_LIFE = Millis(365 * DAY)
RUN_TOKEN_LIFE = Millis(7 * DAY)
SESSION_LIFE = Millis(14 * DAY)
LOGIN_LINK_LIFE = Millis(5 * MINUTE)
SET_UP_LINK_LIFE = Millis(DAY)
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def new_token_secret() -> tuple[str, str]:
    """(secret, prefix): `tilth_<8 readable characters>_<43 characters of 256 random bits>`."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(8))
    return f"tilth_{prefix}_{secrets.token_urlsafe(32)}", prefix


def secret_digest(secret: str) -> str:
    """SHA-256 in hexadecimal. Secrets carry 256 random bits, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode()).hexdigest()


def looks_like_token(text: str) -> bool:
    return TOKEN_PATTERN.fullmatch(text) is not None


def role_named(word: str) -> Role:
    try:
        return Role[word.upper()]
    except KeyError:
        raise UnknownRole(f"no role {word[:40]!r}: choose viewer, developer, maintainer or owner") from None


def org_role_named(word: str) -> OrgRole:
    try:
        return OrgRole[word.upper()]
    except KeyError:
        raise UnknownRole(f"no organisation role {word[:40]!r}: choose member, auditor or admin") from None


def scopes_named(words: Iterable[str]) -> frozenset[Scope]:
    """Raises UnknownScope, also for an empty choice."""
    wanted = frozenset(words)
    unknown = sorted(wanted - SCOPES)
    if unknown or not wanted:
        named = f"no scope {unknown[0][:40]!r}" if unknown else "a token needs at least one scope"
        raise UnknownScope(f"{named}: choose of {', '.join(sorted(SCOPES))}")
    return wanted  # type: ignore[return-value]


def check_hand_on(giver: Principal, scopes: frozenset[Scope], project: str | None, own: bool) -> None:
    """A token can never do more than the credential it was made with. Raises BeyondOwnRights."""
    beyond = sorted(scopes - giver.scopes)
    if beyond:
        raise BeyondOwnRights(f"your own credential lacks the scope {beyond[0]!r}, so you cannot make a token that has it")
    if giver.bound_to is not None and project != giver.bound_to:
        raise BeyondOwnRights("your own token is bound to one project, so the new one must be bound to the same project")
    if not own and not is_admin(giver):
        raise BeyondOwnRights("only an organisation admin, with a token bound to no project, makes tokens for other principals")


def is_admin(caller: Principal) -> bool:
    """A credential that is bound to one project carries no power over the organisation, whoever holds it."""
    return caller.org_role >= OrgRole.ADMIN and caller.bound_to is None


def check_person(name: str, kind: PrincipalKind) -> None:
    """Raises NotAPerson."""
    if kind != "user":
        raise NotAPerson(
            f"{name!r} is a service account, which signs in nowhere and has no password: make a token with "
            f"`tilth token create NAME --for {name}`"
        )


def check_sign_in(giver: Principal) -> None:
    """A session may do everything its user may, so only a credential that may do so hands one out. Raises BeyondOwnRights."""
    if giver.actor.kind != "user":
        raise BeyondOwnRights("only people sign in with a browser; a service account and a run use their token")
    if giver.bound_to is not None or not giver.scopes >= SCOPES:
        raise BeyondOwnRights(
            "a browser session can do all that you can, and this token cannot: make the link with a token that has every scope "
            "and is bound to no project, such as the home's own"
        )


def check_run_token(run_id: str, scopes: frozenset[Scope], project: str | None) -> None:
    """A run's token goes to a program and its logs, so it is bound to a project and manages nothing.

    Raises BeyondOwnRights, InvalidName."""
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidName(f"run_id {run_id[:40]!r} is not 32 hexadecimal digits: take the id of the run")
    if project is None or "manage" in scopes:
        raise BeyondOwnRights(
            "a token for a run is bound to its project and has no scope 'manage': name the project and choose of read, write, predict"
        )


def may_revoke(caller: Principal, principal_id: str, project: str | None) -> bool:
    """principal_id, project: of the token that shall end."""
    within = caller.bound_to is None or caller.bound_to == project
    return within and (caller.actor.id == principal_id or is_admin(caller))


def check_role_hand_on(giver: Principal, project_id: str, role: Role) -> None:
    """Nobody gives a role above his own. Raises BeyondOwnRights."""
    own = giver.role_in(project_id)  # type: ignore[arg-type]
    if own is None or role > own:
        raise BeyondOwnRights(f"you cannot give the role {role.word!r}: it is above your own")


def permission_named(word: str) -> Permission:
    """One that a role decides about. Raises UnknownPermission."""
    try:
        found = Permission(word)
    except ValueError:
        found = Permission.PUBLIC
    if NEEDS[found].scope is None or NEEDS[found].scope == "plane":
        raise UnknownPermission(
            f"no permission {word[:40]!r}; known are: {', '.join(sorted(str(p) for p, n in NEEDS.items() if n.scope in SCOPES))}"
        )
    return found


def explain(
    name: str, found: PrincipalRecord | None, role: Role | None, permission: Permission, project: str
) -> tuple[bool, str]:
    """Whether somebody may do it in the project, and why. found: None for somebody unknown, whom the answer does not tell from a
    stranger to the project: members may ask, and need not learn who else there is."""
    needs = NEEDS[permission]
    if found is None or role is None:
        return False, f"{name!r} is no member of {project!r}; an owner gives a role with `tilth project member set {name} ROLE`"
    if not found.active:
        return False, f"{name!r} is deactivated; an admin of the organisation lets the account in again"
    if needs.org_role is not None:
        holds = found.org_role >= needs.org_role
        how = "is needed" if holds else "is needed, which an admin of the organisation gives"
        return holds, f"{name!r} is {found.org_role.word!r} in the organisation; at least {needs.org_role.word!r} {how}"
    if needs.role is None:
        return True, f"anybody who is signed in may, with a token of the scope {needs.scope!r} or in the browser"
    tail = f", with a token of the scope {needs.scope!r} or in the browser" if role >= needs.role else ", which an owner gives"
    return role >= needs.role, f"{name!r} is {role.word!r} in {project!r}; at least {needs.role.word!r} is needed{tail}"


def expiry(now: Millis, days: int, kind: str) -> Millis:
    """Moment at which a new token ends: at most a year, for run-scoped tokens at most a week."""
    return Millis(now + min(days * DAY, RUN_TOKEN_LIFE if kind == "run" else MAX_TOKEN_LIFE))


def without_owner(roles: Mapping[str, Role], changed: str, new_role: Role | None) -> bool:
    """Whether giving `changed` the new role (None: removing him) leaves the project without an owner."""
    after = {**roles, changed: new_role} if new_role is not None else {k: v for k, v in roles.items() if k != changed}
    return Role.OWNER not in after.values()
