"""The outbox: an event is written in the transaction of the change it tells of, and delivered after the commit."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, insert

from tilth.backends.sql.hot import hot
from tilth.backends.sql.schema import Document, Str, metadata
from tilth.backends.sql.tx import Tx
from tilth.core.clock import now
from tilth.core.events import Event
from tilth.core.ids import new_id

TOPIC = "outbox"

outbox = Table(
    "outbox",
    metadata,
    Column("id", Str, primary_key=True),
    Column("event", Str, nullable=False),
    Column("key", Str, nullable=False),
    Column("payload", Document, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("delivered_to", Document, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("last_error", Str),
    Index("ix_outbox_due", "dead", "next_at", "id"),
)

_ADD = hot(insert(outbox))


def add(tx: Tx, event: Event, *, key: str | None = None) -> None:
    """Tells the world of `event` once this transaction is committed; at least once.

    key: handed to subscribers that take `key`, to recognise a second delivery; the outbox row's own id if not given.
    """
    row_id = new_id()
    tx.run(
        _ADD,
        id=row_id,
        event=event.name,
        key=key or row_id,
        payload=event.to_payload(),
        created_at=now(),
        attempts=0,
        next_at=0,
        delivered_to=[],
        dead=False,
        last_error=None,
    )
    tx.announce(TOPIC)
