"""archived runs, retention rules, uploads in parts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Id, Str

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_run_care()
    create_uploads()


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
    op.create_table(
        "purged_run",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("purged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_purged_run")),
    )


def create_uploads() -> None:
    op.create_table(
        "upload",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("blob", Str(), nullable=True),
        sa.Column("blob_size", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.create_index("ix_upload_file", ["project_id", "principal_id", "digest"], unique=False)
        batch_op.create_index("ix_upload_touched", ["touched"], unique=False)
    op.create_table(
        "upload_part",
        sa.Column("upload_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_upload_part_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_part")),
        sqlite_with_rowid=False,
    )
