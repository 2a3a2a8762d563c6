"""Deployments and every generation they went through."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, Table, text

from tilth.backends.sql import Document, Str, metadata

deployment = Table(
    "deployment",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("name", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("alias", Str),
    Column("version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("routes", Document, nullable=False),
    Column("settings", Document, nullable=False),
    Column("salt", Str, nullable=False),
    Column("problem", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("changed_by_id", Str, nullable=False),
    Column("changed_by_name", Str, nullable=False),
    Column("deleted_at", BigInteger),
    # A name is free again after an undeploy; the new deployment is another one, with generations of its own.
    Index(
        "ux_deployment_name",
        "project_id",
        "name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("ix_deployment_alias", "project_id", "model_id", "alias"),
)

deployment_generation = Table(
    "deployment_generation",
    metadata,
    Column("deployment_id", Str, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("cause", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("alias", Str),
    Column("from_version", Integer),
    Column("version", Integer, nullable=False),
    Column("routes", Document, nullable=False),
    Column("settings", Document, nullable=False),
    Column("note", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    ForeignKeyConstraint(["deployment_id"], ["deployment.id"]),
)
