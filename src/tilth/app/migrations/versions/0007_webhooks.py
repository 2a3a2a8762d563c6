"""webhooks and their deliveries"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("url", Str(), nullable=False),
        sa.Column("events", Document(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("problem", Str(), nullable=False),
        sa.Column("secret", Str(), nullable=False),
        sa.Column("previous_secret", Str(), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index("ux_webhook_name", "webhook", ["project_id", "name"], unique=True)
    op.create_table(
        "webhook_delivery",
        sa.Column("id", Str(), nullable=False),
        sa.Column("webhook_id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("event", Str(), nullable=False),
        sa.Column("body", Str(), nullable=False),
        sa.Column("state", Str(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_delivery_webhook_id_webhook")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index("ix_webhook_delivery_due", "webhook_delivery", ["state", "next_at", "id"])
    op.create_index("ix_webhook_delivery_webhook", "webhook_delivery", ["webhook_id", "created", "id"])
