"""rollouts, their steps and verdicts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("deployment_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("routes", Document(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.Column("plan", Document(), nullable=False),
        sa.Column("promote_alias", sa.Boolean(), nullable=False),
        sa.Column("state", Str(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("code", Str(), nullable=False),
        sa.Column("reason", Str(), nullable=False),
        sa.Column("judged", sa.BigInteger(), nullable=False),
        sa.Column("note", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.Column("actor_kind", Str(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name=op.f("fk_rollout_deployment_id_deployment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout")),
    )
    op.create_index(
        "ux_rollout_under_way",
        "rollout",
        ["deployment_id"],
        unique=True,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_index("ix_rollout_deployment", "rollout", ["project_id", "deployment_id", "id"])
    op.create_table(
        "rollout_step",
        sa.Column("rollout_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("live_since", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("traffic", Document(), nullable=False),
        sa.Column("evidence", Document(), nullable=True),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_step_rollout_id_rollout")),
        sa.PrimaryKeyConstraint("rollout_id", "number", name=op.f("pk_rollout_step")),
    )
    op.create_table(
        "rollout_verdict",
        sa.Column("rollout_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", Str(), nullable=False),
        sa.Column("code", Str(), nullable=False),
        sa.Column("reason", Str(), nullable=False),
        sa.Column("evidence", Document(), nullable=True),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_verdict_rollout_id_rollout")),
        sa.PrimaryKeyConstraint("rollout_id", "number", name=op.f("pk_rollout_verdict")),
    )
