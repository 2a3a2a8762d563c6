"""The statements that change identity's tables; `actions` decides when they run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, update

from tilth.backends.sql import Tx, upsert
from tilth.core.clock import Millis
from tilth.domains.identity.tables import login_link, membership, principal, project, session, token


def add_principal(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(principal), **row)


def change_principal(tx: Tx, principal_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(principal).where(principal.c.id == principal_id), **changes)


def add_project(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(project), **row)


def change_project(tx: Tx, project_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(project).where(project.c.id == project_id), **changes)


def put_membership(tx: Tx, project_id: str, principal_id: str, role: int) -> None:
    tx.run(
        upsert(membership, keys=["project_id", "principal_id"], update=["role"]),
        project_id=project_id,
        principal_id=principal_id,
        role=role,
    )


def drop_membership(tx: Tx, project_id: str, principal_id: str) -> int:
    return tx.run(delete(membership).where(membership.c.project_id == project_id, membership.c.principal_id == principal_id))


def add_token(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(token), **row)


def revoke_token(tx: Tx, token_id: str, at: Millis) -> int:
    """1 if the token was good until now."""
    return tx.run(update(token).where(token.c.id == token_id, token.c.revoked.is_(None)), revoked=at)


def revoke_tokens_of_kind(tx: Tx, principal_id: str, kind: str, at: Millis) -> int:
    return tx.run(
        update(token).where(token.c.principal_id == principal_id, token.c.kind == kind, token.c.revoked.is_(None)), revoked=at
    )


def touch_tokens(tx: Tx, used: dict[str, Millis]) -> None:
    """Notes when tokens were last used; gathered in memory and written every few seconds."""
    for token_id, at in used.items():
        tx.run(update(token).where(token.c.id == token_id), last_used=at)


def touch_sessions(tx: Tx, used: dict[str, Millis]) -> None:
    for session_id, at in used.items():
        tx.run(update(session).where(session.c.id == session_id), last_used=at)


def touch_principals(tx: Tx, used: dict[str, Millis]) -> None:
    for principal_id, at in used.items():
        tx.run(update(principal).where(principal.c.id == principal_id), last_seen=at)


def add_session(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(session), **row)


def drop_session(tx: Tx, session_id: str) -> int:
    return tx.run(delete(session).where(session.c.id == session_id))


def drop_session_by_secret(tx: Tx, sha256: str) -> int:
    return tx.run(delete(session).where(session.c.sha256 == sha256))


def drop_sessions_of(tx: Tx, principal_id: str, keep: str = "") -> int:
    """All of a principal but the one with the id `keep`."""
    return tx.run(delete(session).where(session.c.principal_id == principal_id, session.c.id != keep))


def drop_links_of(tx: Tx, principal_id: str) -> int:
    """Unused ones, of either purpose."""
    return tx.run(delete(login_link).where(login_link.c.principal_id == principal_id, login_link.c.used.is_(None)))


def drop_stale_across_projects(tx: Tx, now: Millis) -> int:
    """Expired sessions and login links."""
    return tx.run(delete(session).where(session.c.expires <= now)) + tx.run(delete(login_link).where(login_link.c.expires <= now))


def add_login_link(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(login_link), **row)


def use_login_link(tx: Tx, sha256: str, purpose: str, now: Millis) -> int:
    """1 for the one caller who gets to use it."""
    unused = (login_link.c.sha256 == sha256, login_link.c.purpose == purpose, login_link.c.used.is_(None))
    return tx.run(update(login_link).where(*unused, login_link.c.expires > now), used=now)
