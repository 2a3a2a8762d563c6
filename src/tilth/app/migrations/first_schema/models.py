"""Logged models, registered models and their versions.

Each function makes the table of its name, with its indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str


def logged_model() -> None:
    op.create_table(
        "logged_model",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("experiment_id", Str(), nullable=True),
        sa.Column("source_run_id", Str(), nullable=True),
        sa.Column("name", Str(), nullable=False),
        sa.Column("model_type", Str(), nullable=False),
        sa.Column("status", Str(), nullable=False),
        sa.Column("status_message", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.Column("manifest_digest", Str(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("flavour", Str(), nullable=False),
        sa.Column("document", Document(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logged_model")),
    )
    with op.batch_alter_table("logged_model", schema=None) as batch_op:
        batch_op.create_index("ix_logged_model_project_created", ["project_id", "created", "id"], unique=False)
        batch_op.create_index("ix_logged_model_run", ["project_id", "source_run_id"], unique=False)


def logged_model_file() -> None:
    op.create_table(
        "logged_model_file",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("path", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_logged_model_file_logged_model_id")),
        sa.PrimaryKeyConstraint("logged_model_id", "path", name=op.f("pk_logged_model_file")),
    )


def logged_model_param() -> None:
    op.create_table(
        "logged_model_param",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_logged_model_param_logged_model_id")),
        sa.PrimaryKeyConstraint("logged_model_id", "key", name=op.f("pk_logged_model_param")),
    )


def logged_model_tag() -> None:
    op.create_table(
        "logged_model_tag",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_logged_model_tag_logged_model_id")),
        sa.PrimaryKeyConstraint("logged_model_id", "key", name=op.f("pk_logged_model_tag")),
    )


def registered_model() -> None:
    op.create_table(
        "registered_model",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("description", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_model")),
    )
    with op.batch_alter_table("registered_model", schema=None) as batch_op:
        batch_op.create_index(
            "ux_registered_model_name",
            ["project_id", "name"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def registered_model_tag() -> None:
    op.create_table(
        "registered_model_tag",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_registered_model_tag_model_id")),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_registered_model_tag")),
    )


def model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("manifest_digest", Str(), nullable=False),
        sa.Column("run_id", Str(), nullable=True),
        sa.Column("run_link", Str(), nullable=False),
        sa.Column("source", Str(), nullable=False),
        sa.Column("status", Str(), nullable=False),
        sa.Column("status_message", Str(), nullable=False),
        sa.Column("stage", Str(), nullable=False),
        sa.Column("description", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_model_version_logged_model_id")),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_model_version_model_id")),
        sa.PrimaryKeyConstraint("model_id", "version", name=op.f("pk_model_version")),
    )
    with op.batch_alter_table("model_version", schema=None) as batch_op:
        batch_op.create_index("ix_model_version_logged_model", ["project_id", "logged_model_id"], unique=False)


def model_version_tag() -> None:
    op.create_table(
        "model_version_tag",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["model_version.model_id", "model_version.version"],
            name=op.f("fk_model_version_tag_model_id_version"),
        ),
        sa.PrimaryKeyConstraint("model_id", "version", "key", name=op.f("pk_model_version_tag")),
    )


def model_alias() -> None:
    op.create_table(
        "model_alias",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["model_version.model_id", "model_version.version"],
            name=op.f("fk_model_alias_model_id_version"),
        ),
        sa.PrimaryKeyConstraint("model_id", "alias", name=op.f("pk_model_alias")),
    )


def model_alias_move() -> None:
    op.create_table(
        "model_alias_move",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_model_alias_move_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_alias_move")),
    )
    with op.batch_alter_table("model_alias_move", schema=None) as batch_op:
        batch_op.create_index("ix_model_alias_move_model", ["model_id", "id"], unique=False)


def card_field() -> None:
    op.create_table(
        "card_field",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("field", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("text", Str(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("author_id", Str(), nullable=False),
        sa.Column("author_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["model_version.model_id", "model_version.version"],
            name=op.f("fk_card_field_model_id_version"),
        ),
        sa.PrimaryKeyConstraint("model_id", "version", "field", name=op.f("pk_card_field")),
    )


def version_hold() -> None:
    op.create_table(
        "version_hold",
        sa.Column("holder", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("label", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["model_version.model_id", "model_version.version"],
            name=op.f("fk_version_hold_model_id_version"),
        ),
        sa.PrimaryKeyConstraint("holder", "model_id", "version", name=op.f("pk_version_hold")),
    )
    with op.batch_alter_table("version_hold", schema=None) as batch_op:
        batch_op.create_index("ix_version_hold_version", ["model_id", "version"], unique=False)


TABLES = (
    logged_model,
    logged_model_file,
    logged_model_param,
    logged_model_tag,
    registered_model,
    registered_model_tag,
    model_version,
    model_version_tag,
    model_alias,
    model_alias_move,
    card_field,
    version_hold,
)
"""Each after those that it refers to."""
