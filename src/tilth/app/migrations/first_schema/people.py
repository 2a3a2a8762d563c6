"""Who there is and what they sign in with, projects, and the audit trail.

Each function makes the table of its name, with its indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Str


def principal() -> None:
    op.create_table(
        "principal",
        sa.Column("id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("kind", Str(), nullable=False),
        sa.Column("org_role", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", Str(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principal")),
        sa.UniqueConstraint("name", name=op.f("uq_principal_name")),
    )


def project() -> None:
    op.create_table(
        "project",
        sa.Column("id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("description", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Str(), nullable=False),
        sa.Column("archived", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["principal.id"], name=op.f("fk_project_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )


def membership() -> None:
    op.create_table(
        "membership",
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_membership_principal_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_membership_project_id")),
        sa.PrimaryKeyConstraint("project_id", "principal_id", name=op.f("pk_membership")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index("ix_membership_principal_id", ["principal_id"], unique=False)


def token() -> None:
    op.create_table(
        "token",
        sa.Column("id", Str(), nullable=False),
        sa.Column("sha256", Str(), nullable=False),
        sa.Column("prefix", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=True),
        sa.Column("scopes", Str(), nullable=False),
        sa.Column("kind", Str(), nullable=False),
        sa.Column("run_id", Str(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Str(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("last_used", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_token_principal_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_token_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index("ix_token_principal_id", ["principal_id"], unique=False)


def session() -> None:
    op.create_table(
        "session",
        sa.Column("id", Str(), nullable=False),
        sa.Column("sha256", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("address", Str(), nullable=False),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_session_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("sha256", name=op.f("uq_session_sha256")),
    )


def login_link() -> None:
    op.create_table(
        "login_link",
        sa.Column("sha256", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_login_link_principal_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_login_link")),
    )


def audit_event() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", Str(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.Column("actor_kind", Str(), nullable=False),
        sa.Column("via", Str(), nullable=False),
        sa.Column("address", Str(), nullable=False),
        sa.Column("action", Str(), nullable=False),
        sa.Column("outcome", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=True),
        sa.Column("thing", Str(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("once", Str(), nullable=True),
        sa.Column("txid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("previous", Str(), nullable=True),
        sa.Column("hash", Str(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("once", name="uq_audit_event_once"),
        sa.UniqueConstraint("position", name="uq_audit_event_position"),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index("ix_audit_event_at", ["at"], unique=False)
        batch_op.create_index("ix_audit_event_project_at", ["project_id", "at"], unique=False)


TABLES = (principal, project, membership, token, session, login_link, audit_event)
"""Each after those that it refers to."""
