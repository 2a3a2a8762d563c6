"""Rollouts, the steps they took and the verdicts on them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, Table, text

from tilth.backends.sql import Document, Str, metadata

rollout = Table(
    "rollout",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("deployment_id", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("candidate", Integer, nullable=False),
    Column("champion", Integer, nullable=False),
    Column("routes", Document, nullable=False),
    Column("alias", Str),
    Column("plan", Document, nullable=False),
    Column("promote_alias", Boolean, nullable=False),
    Column("state", Str, nullable=False),
    Column("step", Integer, nullable=False),
    Column("code", Str, nullable=False),
    Column("reason", Str, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("note", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    Column("actor_kind", Str, nullable=False),
    Column("ended", BigInteger),
    ForeignKeyConstraint(["deployment_id"], ["deployment.id"]),
    # Two rollouts would move the same shares: the database itself refuses the second.
    Index(
        "ux_rollout_under_way",
        "deployment_id",
        unique=True,
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
    Index("ix_rollout_deployment", "project_id", "deployment_id", "id"),
)

rollout_step = Table(
    "rollout_step",
    metadata,
    Column("rollout_id", Str, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("live_since", BigInteger),
    Column("ended", BigInteger),
    Column("traffic", Document, nullable=False),
    Column("evidence", Document),
    ForeignKeyConstraint(["rollout_id"], ["rollout.id"]),
)

rollout_label_tally = Table(
    "rollout_label_tally",
    metadata,
    Column("rollout_id", Str, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("tally", Document, nullable=False),
    ForeignKeyConstraint(["rollout_id"], ["rollout.id"]),
)

rollout_verdict = Table(
    "rollout_verdict",
    metadata,
    Column("rollout_id", Str, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Str, nullable=False),
    Column("code", Str, nullable=False),
    Column("reason", Str, nullable=False),
    Column("evidence", Document),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    ForeignKeyConstraint(["rollout_id"], ["rollout.id"]),
)
