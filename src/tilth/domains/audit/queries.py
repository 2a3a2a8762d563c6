"""Reading the audit trail, and the two statements that extend the chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, text, update

from tilth.backends.sql import Row, Tx, hot
from tilth.core.clock import Millis
from tilth.domains.audit.rules import ChainRow, row_hash
from tilth.domains.audit.tables import HASHED, audit_event
from tilth.domains.audit.types import GENESIS, AuditEvent

PAGE_ROWS = 1000

_COLUMNS = [audit_event.c[name] for name in ("position", *HASHED, "hash")]
_HEAD = hot(
    select(audit_event.c.position, audit_event.c.hash)
    .where(audit_event.c.position.is_not(None))
    .order_by(audit_event.c.position.desc())
    .limit(1)
)
_INSERT = hot(insert(audit_event))
_CHAIN_PAGE = hot(
    select(*[audit_event.c[name] for name in ("previous", "position", *HASHED, "hash")])
    .where(audit_event.c.position > bindparam("after"))
    .order_by(audit_event.c.position)
    .limit(PAGE_ROWS)
)


def chain_head(tx: Tx) -> tuple[int, str]:
    """Position and hash of the last sealed row; (0, GENESIS) of an empty chain."""
    row = tx.one(_HEAD)
    return (row.position, row.hash) if row is not None else (0, GENESIS)


def append(tx: Tx, fields: dict[str, Any], once: str | None) -> None:
    """Writes one row. On SQLite, where one writer orders all rows, it is sealed at once."""
    row = {**fields, "once": once, "position": None, "previous": None, "hash": None, "txid": 0}
    if tx.dialect == "sqlite":
        position, head = chain_head(tx)
        row |= {
            "position": position + 1,
            "previous": head,
            "hash": row_hash(head, position + 1, [fields[name] for name in HASHED]),
        }
    else:
        row["txid"] = tx.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
    tx.run(_INSERT, **row)


def known_once(tx: Tx, once: str) -> bool:
    return tx.one(select(audit_event.c.id).where(audit_event.c.once == once)) is not None


def seal_committed_across_projects(tx: Tx, at_most: int = PAGE_ROWS) -> int:
    """PostgreSQL: gives committed rows their place in the chain. Returns how many.

    Only rows of transactions older than every one still open are taken, so that no row can appear later in front of a sealed one.
    The advisory lock lets one server seal at a time.
    """
    if tx.dialect == "sqlite":
        return 0
    tx.run(text("SELECT pg_advisory_xact_lock(7401)"))
    settled = text("audit_event.txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    rows = tx.all(
        select(*[audit_event.c[name] for name in HASHED])
        .where(audit_event.c.hash.is_(None), settled)
        .order_by(audit_event.c.txid, audit_event.c.id)
        .limit(at_most)
    )
    position, head = chain_head(tx)
    for row in rows:
        position, previous = position + 1, head
        head = row_hash(previous, position, [getattr(row, name) for name in HASHED])
        tx.run(
            update(audit_event).where(audit_event.c.id == row.id, audit_event.c.hash.is_(None)),
            position=position,
            previous=previous,
            hash=head,
        )
    return len(rows)


def chain_page_across_projects(tx: Tx, after: int) -> list[Row]:
    """At most PAGE_ROWS sealed rows with a position above `after`, in order."""
    return tx.all(_CHAIN_PAGE, after=after)


def events_of_project(
    tx: Tx, project_id: str, *, words: str = "", before: tuple[Millis, str] | None = None, limit: int = 100
) -> list[AuditEvent]:
    """Newest first; `words`: text that action, thing or actor must contain; `before`: (at, id) of the last event of the page above."""
    return _events(tx, audit_event.c.project_id == project_id, words, before, limit)


def events_across_projects(
    tx: Tx, *, words: str = "", before: tuple[Millis, str] | None = None, limit: int = 100
) -> list[AuditEvent]:
    """Newest first, of the whole organisation: for auditors."""
    return _events(tx, None, words, before, limit)


def count_of_project(tx: Tx, project_id: str) -> int:
    return int(tx.scalar(select(func.count()).select_from(audit_event).where(audit_event.c.project_id == project_id)) or 0)


def count_across_projects(tx: Tx) -> int:
    return int(tx.scalar(select(func.count()).select_from(audit_event)) or 0)


def _events(tx: Tx, scope: Any, words: str, before: tuple[Millis, str] | None, limit: int) -> list[AuditEvent]:
    wanted = select(*_COLUMNS).order_by(audit_event.c.at.desc(), audit_event.c.id.desc()).limit(min(limit, PAGE_ROWS))
    if scope is not None:
        wanted = wanted.where(scope)
    for word in words.split()[:8]:
        wanted = wanted.where(
            or_(
                audit_event.c.action.contains(word, autoescape=True),
                audit_event.c.thing.contains(word, autoescape=True),
                audit_event.c.actor_name.contains(word, autoescape=True),
                audit_event.c.outcome == word,
            )
        )
    if before is not None:
        at, id_ = before
        wanted = wanted.where(or_(audit_event.c.at < at, and_(audit_event.c.at == at, audit_event.c.id < id_)))
    return [_event(row) for row in tx.all(wanted)]


def _event(row: Any) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        position=row.position,
        at=row.at,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        actor_kind=row.actor_kind,
        via=row.via,
        address=row.address,
        action=row.action,
        outcome=row.outcome,
        project_id=row.project_id,
        thing=row.thing,
        detail=json.loads(row.detail),
        hash=row.hash,
    )


def pages(read: Any) -> Iterator[ChainRow]:
    """Every sealed row in order, fetched page by page; `read(fn)` runs fn in a read transaction of its own."""
    after = 0
    while rows := read(lambda tx, after=after: chain_page_across_projects(tx, after)):
        yield from rows
        after = rows[-1].position
