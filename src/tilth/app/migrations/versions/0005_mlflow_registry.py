"""versions whose files lie elsewhere, as MLflow clients register them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Str

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("logged_model", schema=None) as batch_op:
        batch_op.add_column(sa.Column("copied_from", Str(), nullable=True))
    with op.batch_alter_table("model_version", schema=None) as batch_op:
        batch_op.alter_column("logged_model_id", existing_type=Str(), nullable=True)
        batch_op.alter_column("manifest_digest", existing_type=Str(), nullable=True)
