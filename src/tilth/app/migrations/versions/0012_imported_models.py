"""verdicts of scans of models from elsewhere"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("logged_model", schema=None) as batch_op:
        batch_op.add_column(sa.Column("barred", Str(), nullable=True))
    op.create_table(
        "model_provenance",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("source", Str(), nullable=False),
        sa.Column("sha256", Str(), nullable=False),
        sa.Column("format", Str(), nullable=False),
        sa.Column("runs_code", sa.Boolean(), nullable=False),
        sa.Column("verdict", Str(), nullable=False),
        sa.Column("findings", Document(), nullable=False),
        sa.Column("scanner", Str(), nullable=False),
        sa.Column("note", Str(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("recorder_id", Str(), nullable=False),
        sa.Column("recorder_name", Str(), nullable=False),
        sa.Column("trusted", sa.BigInteger(), nullable=True),
        sa.Column("truster_id", Str(), nullable=True),
        sa.Column("truster_name", Str(), nullable=False),
        sa.Column("trust_reason", Str(), nullable=False),
        sa.ForeignKeyConstraint(
            ["logged_model_id"], ["logged_model.id"], name=op.f("fk_model_provenance_logged_model_id_logged_model")
        ),
        sa.PrimaryKeyConstraint("logged_model_id", name=op.f("pk_model_provenance")),
    )
