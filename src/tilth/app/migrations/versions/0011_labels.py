"""labels of predictions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Id, Str

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _scored_predictions()
    _labels()
    _corrections()


def _scored_predictions() -> None:
    op.create_table(
        "scored_prediction",
        sa.Column("deployment_id", Id(), nullable=False),
        sa.Column("prediction_id", Id(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("model", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("unit", Id(), nullable=False),
        sa.Column("join_key", Id(), nullable=True),
        sa.Column("label", sa.Float(), nullable=True),
        sa.Column("label_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("deployment_id", "prediction_id", "row", name=op.f("pk_scored_prediction")),
    )
    op.create_index("ix_scored_prediction_at", "scored_prediction", ["deployment_id", "at", "version"])
    op.create_index(
        "ix_scored_prediction_key",
        "scored_prediction",
        ["deployment_id", "join_key", "at"],
        sqlite_where=sa.text("join_key IS NOT NULL"),
        postgresql_where=sa.text("join_key IS NOT NULL"),
    )


def _labels() -> None:
    op.create_table(
        "label",
        sa.Column("deployment_id", Id(), nullable=False),
        sa.Column("ref", Id(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("text", Str(), nullable=False),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.Column("logged", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "ref", "row", "at", name=op.f("pk_label")),
    )
    op.create_index("ix_label_logged", "label", ["deployment_id", "logged"])
    op.create_index(
        "ix_label_waiting",
        "label",
        ["deployment_id", "row"],
        sqlite_where=sa.text("NOT matched"),
        postgresql_where=sa.text("NOT matched"),
    )


def _corrections() -> None:
    op.create_table(
        "label_correction",
        sa.Column("id", Id(), nullable=False),
        sa.Column("deployment_id", Id(), nullable=False),
        sa.Column("ref", Id(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("text", Str(), nullable=False),
        sa.Column("logged", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=False),
        sa.Column("replaced_by_id", Str(), nullable=False),
        sa.Column("replaced_by_name", Str(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_correction")),
    )
    op.create_index("ix_label_correction_of", "label_correction", ["deployment_id", "ref", "row", "at", "replaced"])
