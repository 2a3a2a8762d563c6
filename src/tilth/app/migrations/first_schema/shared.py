"""Tables that no domain owns: events on their way, and who uses which bytes.

Each function makes the table of its name, with its indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str


def outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", Str(), nullable=False),
        sa.Column("event", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("payload", Document(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_to", Document(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("last_error", Str(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_due", ["dead", "next_at", "id"], unique=False)


def blob_use() -> None:
    op.create_table(
        "blob_use",
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_blob_use")),
    )
    with op.batch_alter_table("blob_use", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_blob_use_digest"), ["digest"], unique=False)


TABLES = (outbox, blob_use)
"""Each after those that it refers to."""
