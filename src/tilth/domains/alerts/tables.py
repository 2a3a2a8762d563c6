"""Webhooks and what was, or is still to be, delivered to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, Table

from tilth.backends.sql import Document, Str, metadata

webhook = Table(
    "webhook",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("name", Str, nullable=False),
    Column("url", Str, nullable=False),
    Column("events", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    # Why Tilth switched it off; empty when a person did.
    Column("problem", Str, nullable=False),
    # Sealed with the key of the home. The previous one signs beside it until `previous_until`.
    Column("secret", Str, nullable=False),
    Column("previous_secret", Str),
    Column("previous_until", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    Index("ux_webhook_name", "project_id", "name", unique=True),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", Str, primary_key=True),
    Column("webhook_id", Str, nullable=False),
    Column("project_id", Str, nullable=False),
    Column("event", Str, nullable=False),
    Column("body", Str, nullable=False),
    Column("state", Str, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("response_status", Integer),
    Column("error", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ended", BigInteger),
    ForeignKeyConstraint(["webhook_id"], ["webhook.id"]),
    Index("ix_webhook_delivery_due", "state", "next_at", "id"),
    Index("ix_webhook_delivery_webhook", "webhook_id", "created", "id"),
)
