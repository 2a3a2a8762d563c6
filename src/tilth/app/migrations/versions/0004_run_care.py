"""archived runs, retention rules, uploads in parts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Str

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_run_care()


def create_run_care() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("archived", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "ix_run_deleted",
            ["deleted_at", "id"],
            unique=False,
            sqlite_where=sa.text("deleted_at IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
        )
    op.create_table(
        "retention_rule",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("action", Str(), nullable=False),
        sa.Column("filter", Str(), nullable=False),
        sa.Column("after_days", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_rule")),
    )
    with op.batch_alter_table("retention_rule", schema=None) as batch_op:
        batch_op.create_index("ix_retention_rule_project", ["project_id", "id"], unique=False)
