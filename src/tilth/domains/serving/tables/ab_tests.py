"""A/B tests of deployments."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, text

from tilth.backends.sql import Document, Str, metadata

ab_test = Table(
    "ab_test",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("deployment_id", Str, nullable=False),
    Column("number", Integer, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("state", Str, nullable=False),
    Column("hypothesis", Str, nullable=False),
    Column("design", Document, nullable=False),
    Column("before", Document),
    Column("created", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    Column("winner", Integer),
    Column("note", Str, nullable=False),
    Column("evidence", Document),
    ForeignKeyConstraint(["deployment_id"], ["deployment.id"]),
    Index("ux_ab_test_number", "deployment_id", "number", unique=True),
    # Two tests would share out the same requests: the database itself refuses the second.
    Index(
        "ux_ab_test_running",
        "deployment_id",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)
