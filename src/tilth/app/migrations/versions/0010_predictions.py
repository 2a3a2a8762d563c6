"""files of shipped predictions, and versions that answer in the shadow"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Id, Str

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _files()
    op.create_table(
        "prediction_segment",
        sa.Column("id", Id(), nullable=False),
        sa.Column("shipped", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("undecoded", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("torn_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction_segment")),
    )
    op.create_index(op.f("ix_prediction_segment_shipped"), "prediction_segment", ["shipped"])
    op.create_table(
        "deployment_shadow",
        sa.Column("deployment_id", Id(), nullable=False),
        sa.Column("model_id", Id(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("manifest_digest", Str(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "model_id", "version", name=op.f("pk_deployment_shadow")),
    )


def _files() -> None:
    op.create_table(
        "prediction_file",
        sa.Column("id", Id(), nullable=False),
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("deployment_id", Id(), nullable=False),
        sa.Column("day", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("min_id", Id(), nullable=False),
        sa.Column("max_id", Id(), nullable=False),
        sa.Column("columns", Str(), nullable=False),
        sa.Column("versions", Document(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction_file")),
    )
    op.create_index("ix_prediction_file_deployment", "prediction_file", ["project_id", "deployment_id", "last", "id"])
    op.create_index("ix_prediction_file_day", "prediction_file", ["deployment_id", "day", "columns"])
