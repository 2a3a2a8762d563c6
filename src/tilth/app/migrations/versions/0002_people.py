"""passwords, set-up links, comments and mentions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Str

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("principal", sa.Column("last_seen", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("last_used", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("browser", Str(), server_default="", nullable=False))
    op.create_index("ix_session_principal_id", "session", ["principal_id"], unique=False)
    op.add_column("login_link", sa.Column("purpose", Str(), server_default="sign_in", nullable=False))
    op.create_table(
        "comment",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("thing_kind", Str(), nullable=False),
        sa.Column("thing_id", Str(), nullable=False),
        sa.Column("thing_label", Str(), nullable=False),
        sa.Column("author_id", Str(), nullable=False),
        sa.Column("author_name", Str(), nullable=False),
        sa.Column("text", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("edited", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
    )
    op.create_index("ix_comment_thing", "comment", ["project_id", "thing_kind", "thing_id", "id"], unique=False)
    op.create_table(
        "mention",
        sa.Column("comment_id", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["comment_id"], ["comment.id"], name=op.f("fk_mention_comment_id")),
        sa.PrimaryKeyConstraint("comment_id", "principal_id", name=op.f("pk_mention")),
    )
    op.create_index("ix_mention_principal", "mention", ["principal_id", "comment_id"], unique=False)
