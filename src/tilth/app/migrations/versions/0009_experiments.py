"""A/B experiments of deployments"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ab_test",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("deployment_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("state", Str(), nullable=False),
        sa.Column("hypothesis", Str(), nullable=False),
        sa.Column("design", Document(), nullable=False),
        sa.Column("before", Document(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.Column("winner", sa.Integer(), nullable=True),
        sa.Column("note", Str(), nullable=False),
        sa.Column("evidence", Document(), nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name=op.f("fk_ab_test_deployment_id_deployment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ab_test")),
    )
    op.create_index("ux_ab_test_number", "ab_test", ["deployment_id", "number"], unique=True)
    op.create_index(
        "ux_ab_test_running",
        "ab_test",
        ["deployment_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
