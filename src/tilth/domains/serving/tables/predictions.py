"""Files of shipped predictions, and the segments they came from."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from tilth.backends.sql import Document, Id, Str, metadata

prediction_file = Table(
    "prediction_file",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", Id, nullable=False),
    Column("deployment_id", Id, nullable=False),
    # UTC, `2026-11-21`: text, since it is compared and shown but never calculated with.
    Column("day", Str, nullable=False),
    Column("digest", Str, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("min_id", Id, nullable=False),
    Column("max_id", Id, nullable=False),
    Column("columns", Str, nullable=False),
    Column("versions", Document, nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("ix_prediction_file_deployment", "project_id", "deployment_id", "last", "id"),
    Index("ix_prediction_file_day", "deployment_id", "day", "columns"),
)

prediction_segment = Table(
    "prediction_segment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("shipped", BigInteger, nullable=False, index=True),
    Column("frames", BigInteger, nullable=False),
    Column("undecoded", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("torn_bytes", BigInteger, nullable=False),
)

deployment_shadow = Table(
    "deployment_shadow",
    metadata,
    Column("deployment_id", Id, primary_key=True),
    Column("model_id", Id, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("project_id", Id, nullable=False),
    Column("logged_model_id", Str, nullable=False),
    Column("manifest_digest", Str, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
)
