"""Passwords, sessions and one-time links: who may open a session, and which are open."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import select

from tilth.backends.sql import Tx
from tilth.core.clock import Millis
from tilth.domains.identity.tables import login_link, principal, session
from tilth.domains.identity.types import Session, StoredPassword

MAX_SESSIONS = 100
Purpose = Literal["sign_in", "set_up"]

_SESSION = [session.c[name] for name in ("id", "principal_id", "created", "expires", "address", "browser", "last_used")]
_PASSWORD = select(principal.c.id, principal.c.name, principal.c.kind, principal.c.active, principal.c.password_hash)


def password_of(tx: Tx, name: str) -> StoredPassword | None:
    """Of the user or service account of this name."""
    return _password(tx.one(_PASSWORD.where(principal.c.name == name)))


def password_by_id(tx: Tx, principal_id: str) -> StoredPassword | None:
    return _password(tx.one(_PASSWORD.where(principal.c.id == principal_id)))


def principal_of_link(tx: Tx, sha256: str, purpose: Purpose, now: Millis) -> str | None:
    """Id of whom the link is for, while it is unused and not too old."""
    found = tx.scalar(
        select(login_link.c.principal_id).where(
            login_link.c.sha256 == sha256,
            login_link.c.purpose == purpose,
            login_link.c.used.is_(None),
            login_link.c.expires > now,
        )
    )
    return str(found) if found is not None else None


def sessions_of(tx: Tx, principal_id: str, now: Millis) -> list[Session]:
    """Those that are open, newest first; at most 100."""
    rows = tx.all(
        select(*_SESSION)
        .where(session.c.principal_id == principal_id, session.c.expires > now)
        .order_by(session.c.created.desc(), session.c.id.desc())
        .limit(MAX_SESSIONS)
    )
    return [Session(**row._asdict()) for row in rows]


def _password(row: Any) -> StoredPassword | None:
    if row is None:
        return None
    return StoredPassword(row.id, row.name, row.kind, bool(row.active), row.password_hash)
