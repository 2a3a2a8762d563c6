"""One insert-only table. On SQLite the writer seals a row as it is written; on PostgreSQL a sealer does so after the commit."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, UniqueConstraint
from sqlalchemy import Text as PlainText

from tilth.backends.sql import Str, metadata

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Str, primary_key=True),
    Column("position", BigInteger, nullable=True),
    Column("at", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    Column("actor_kind", Str, nullable=False),
    Column("via", Str, nullable=False),
    Column("address", Str, nullable=False),
    Column("action", Str, nullable=False),
    Column("outcome", Str, nullable=False),
    Column("project_id", Str, nullable=True),
    Column("thing", Str, nullable=False),
    # The exact text that was hashed; a JSON column type could reorder it.
    Column("detail", PlainText, nullable=False),
    # Refusals repeat: `once` names principal, route and minute, and is unique.
    Column("once", Str, nullable=True),
    # PostgreSQL: the writing transaction. The sealer takes rows of transactions older than every one still open.
    Column("txid", BigInteger, nullable=False, server_default="0"),
    Column("previous", Str, nullable=True),
    Column("hash", Str, nullable=True),
    UniqueConstraint("position", name="uq_audit_event_position"),
    UniqueConstraint("once", name="uq_audit_event_once"),
    Index("ix_audit_event_project_at", "project_id", "at"),
    Index("ix_audit_event_at", "at"),
)

HASHED = (
    "id",
    "at",
    "actor_id",
    "actor_name",
    "actor_kind",
    "via",
    "address",
    "action",
    "outcome",
    "project_id",
    "thing",
    "detail",
)
"""The columns that a row's hash covers, in this order."""
