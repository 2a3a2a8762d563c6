"""Deployments and the generations they went through.

Each function makes the table of its name, with its indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str


def deployment() -> None:
    op.create_table(
        "deployment",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("routes", Document(), nullable=False),
        sa.Column("settings", Document(), nullable=False),
        sa.Column("salt", Str(), nullable=False),
        sa.Column("problem", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("changed_by_id", Str(), nullable=False),
        sa.Column("changed_by_name", Str(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.create_index("ix_deployment_alias", ["project_id", "model_id", "alias"], unique=False)
        batch_op.create_index(
            "ux_deployment_name",
            ["project_id", "name"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def deployment_generation() -> None:
    op.create_table(
        "deployment_generation",
        sa.Column("deployment_id", Str(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("cause", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("routes", Document(), nullable=False),
        sa.Column("settings", Document(), nullable=False),
        sa.Column("note", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_generation_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "generation", name=op.f("pk_deployment_generation")),
    )


TABLES = (deployment, deployment_generation)
"""Each after those that it refers to."""
