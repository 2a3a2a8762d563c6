"""Tokens. Secrets are returned once, to the caller, and only their SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Iterable

from tilth.backends.sql import Tx
from tilth.core.actors import SYSTEM
from tilth.core.clock import DAY, Millis, now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_name
from tilth.domains.audit import actions as audit
from tilth.domains.identity import queries
from tilth.domains.identity.actions.projects import create_principal
from tilth.domains.identity.queries import writes
from tilth.domains.identity.rules import (
    MAX_TOKEN_LIFE,
    check_hand_on,
    check_run_token,
    expiry,
    is_admin,
    may_revoke,
    new_token_secret,
    scopes_named,
    secret_digest,
)
from tilth.domains.identity.types import (
    TOPIC,
    BeyondOwnRights,
    IsDeactivated,
    NoSuchPrincipal,
    NoSuchProject,
    NoSuchToken,
    PrincipalRecord,
    Token,
    TokenKind,
)
from tilth.guard import SCOPES, OrgRole, Permission, Principal

RENEW_BEFORE = Millis(30 * DAY)


def create_token(
    tx: Tx,
    giver: Principal,
    name: str,
    *,
    scopes: Iterable[str],
    project: str | None = None,
    expires_in_days: int = 90,
    principal: str | None = None,
    run_id: str | None = None,
) -> tuple[Token, str]:
    """A token for the caller or, by an admin, for another principal. Returns it with its secret.

    Raises UnknownScope, NoSuchProject, NoSuchPrincipal, BeyondOwnRights, IsDeactivated.
    """
    check_name(name, "token")
    wanted = scopes_named(scopes)
    owner = queries.principal_named(tx, principal) if principal is not None else None
    owner_id = giver.actor.id if owner is None else owner.id
    project_id = _own_project(tx, giver, project) if project is not None else None
    check_hand_on(giver, wanted, project_id, own=owner_id == giver.actor.id)
    if owner is not None and owner_id != giver.actor.id and owner.kind == "user" and owner.has_password:
        raise BeyondOwnRights(
            f"{owner.name!r} signs in with a password and makes tokens alone: nobody else can act with this user's rights. "
            "For a program make a service account: `tilth user create NAME --service`"
        )
    if owner is not None and not owner.active:
        raise IsDeactivated(
            f"{owner.name!r} is deactivated, so no token opens anything: first `tilth user update {owner.name} --activate`"
        )
    kind: TokenKind = "run" if run_id is not None else "personal"
    if run_id is not None:
        check_run_token(run_id, wanted, project_id)
    token, secret = _add(
        tx, owner_id, name, wanted, kind, giver.actor.id, expiry(now(), expires_in_days, kind), project_id, run_id
    )
    tx.announce(TOPIC)
    detail = {"name": name, "scopes": sorted(wanted), "expires": token.expires, "for": token.principal_name}
    audit.record(tx, giver.actor, "token.created", project_id=project_id, thing=token.id, detail=detail)
    return token, secret


def readable_owner(tx: Tx, caller: Principal, name: str) -> str:
    """Id of the principal whose tokens the caller may list: himself or, for an admin, a service account. Raises BeyondOwnRights."""
    if name == caller.actor.name:
        return caller.actor.id
    if not is_admin(caller) or (owner := queries.principal_named(tx, name)).kind != "service":
        raise BeyondOwnRights("you see your own tokens; an organisation admin also sees those of service accounts")
    return owner.id


def revoke_token(tx: Tx, caller: Principal, token_id: str) -> Token:
    """Ends a token of the caller's own or, by an admin, of anybody. A token bound to a project ends only such of that project.

    Raises NoSuchToken; a second time changes nothing.
    """
    token = queries.token_by_id(tx, token_id)
    if token is None or not may_revoke(caller, token.principal_id, token.project_id):
        raise NoSuchToken(f"no token {token_id[:40]!r} of yours; `tilth token list` shows them")
    if writes.revoke_token(tx, token_id, now()):
        tx.announce(TOPIC)
        audit.record(tx, caller.actor, "token.revoked", project_id=token.project_id, thing=token_id, detail={"name": token.name})
    revoked = queries.token_by_id(tx, token_id)
    assert revoked is not None
    return revoked


def ensure_local_owner(tx: Tx, name: str) -> PrincipalRecord:
    """The admin of a fresh installation: made at the first start, found at later ones."""
    return queries.first_admin_across_projects(tx) or create_principal(tx, SYSTEM, name, org_role=OrgRole.ADMIN)


def ensure_service(tx: Tx, name: str) -> PrincipalRecord:
    """A service account of Tilth itself; its name may be taken by an earlier start only."""
    try:
        return queries.principal_named(tx, name)
    except NoSuchPrincipal:
        return create_principal(tx, SYSTEM, name, kind="service")


def renew_system_token(tx: Tx, principal: PrincipalRecord, kind: TokenKind, known_secret: str | None) -> str:
    """The secret of the local owner's or the model servers' token: the known one while it stays good for 30 days, else a new one."""
    if known_secret is not None:
        found = queries.credential_by_token(tx, secret_digest(known_secret), Millis(now() + RENEW_BEFORE))
        if found is not None and found.kind == kind and found.principal_id == principal.id:
            return known_secret
    writes.revoke_tokens_of_kind(tx, principal.id, kind, now())
    scopes = frozenset({"plane"}) if kind == "plane" else SCOPES
    token, secret = _add(tx, principal.id, kind, scopes, kind, SYSTEM.id, Millis(now() + MAX_TOKEN_LIFE), None, None)
    audit.record(tx, SYSTEM, "token.created", project_id=None, thing=token.id, detail={"name": kind, "for": principal.name})
    return secret


def _own_project(tx: Tx, giver: Principal, name: str) -> str:
    project = queries.project_named(tx, name)
    if project is None or not giver.may(Permission.PROJECT_READ, ProjectId(project.id)):
        raise NoSuchProject(f"no project {name!r} that you belong to; `tilth project list` shows yours")
    return project.id


def _add(
    tx: Tx,
    owner_id: str,
    name: str,
    scopes: frozenset[str],
    kind: TokenKind,
    created_by: str,
    expires: Millis,
    project_id: str | None,
    run_id: str | None,
) -> tuple[Token, str]:
    secret, prefix = new_token_secret()
    row = {
        "id": new_id(),
        "sha256": secret_digest(secret),
        "prefix": prefix,
        "name": name,
        "principal_id": owner_id,
        "project_id": project_id,
        "scopes": " ".join(sorted(scopes)),
        "kind": kind,
        "run_id": run_id,
        "created": now(),
        "created_by": created_by,
        "expires": expires,
        "last_used": None,
        "revoked": None,
    }
    writes.add_token(tx, row)
    token = queries.token_by_id(tx, str(row["id"]))
    assert token is not None
    return token, secret
