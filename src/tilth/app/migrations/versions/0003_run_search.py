"""indexes that searches among a million runs walk along"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The index of numeric params leaves out those that are text."""
    with op.batch_alter_table("param", schema=None) as batch_op:
        batch_op.drop_index("ix_param_number")
        batch_op.create_index(
            "ix_param_number",
            ["experiment_serial", "key", "number", "run_id"],
            unique=False,
            sqlite_where=sa.text("number IS NOT NULL"),
            postgresql_where=sa.text("number IS NOT NULL"),
        )
