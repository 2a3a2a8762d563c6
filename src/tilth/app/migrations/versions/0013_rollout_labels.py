"""what the labels of a rollout add up to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollout_label_tally",
        sa.Column("rollout_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("tally", Document(), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_label_tally_rollout_id_rollout")),
        sa.PrimaryKeyConstraint("rollout_id", "version", name=op.f("pk_rollout_label_tally")),
    )
