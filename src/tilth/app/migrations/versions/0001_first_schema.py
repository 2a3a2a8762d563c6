"""projects, runs, models, deployments and audit"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Id, Str

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_tables()
    make_audit_insert_only()


def create_tables() -> None:
    op.create_table(
        "artifact",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("path", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_artifact")),
        sqlite_with_rowid=False,
    )
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

    op.create_table(
        "deployment",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("routes", Document(), nullable=False),
        sa.Column("settings", Document(), nullable=False),
        sa.Column("salt", Str(), nullable=False),
        sa.Column("problem", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("changed_by_id", Str(), nullable=False),
        sa.Column("changed_by_name", Str(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.create_index("ix_deployment_alias", ["project_id", "model_id", "alias"], unique=False)
        batch_op.create_index(
            "ux_deployment_name",
            ["project_id", "name"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.create_table(
        "experiment",
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("artifact_area", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_experiment")),
        sa.UniqueConstraint("id", name=op.f("uq_experiment_id")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_experiment_project_id_name")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_experiment_project_id_number")),
        sqlite_autoincrement=True,
    )
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

    op.create_table(
        "metric_last",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("experiment_serial", sa.Integer(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_metric_last")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("metric_last", schema=None) as batch_op:
        batch_op.create_index("ix_metric_last_order", ["experiment_serial", "key", "value", "started", "run_id"], unique=False)

    op.create_table(
        "metric_point",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("model_id", Str(), nullable=True),
        sa.Column("dataset_name", Str(), nullable=True),
        sa.Column("dataset_digest", Str(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "key", "step", "ts", "seq", name=op.f("pk_metric_point")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("metric_point", schema=None) as batch_op:
        batch_op.create_index(
            "ix_metric_point_model",
            ["model_id", "key"],
            unique=False,
            sqlite_where=sa.text("model_id IS NOT NULL"),
            postgresql_where=sa.text("model_id IS NOT NULL"),
        )

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

    op.create_table(
        "param",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("experiment_serial", sa.Integer(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.Column("prefix", Str(), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_param")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("param", schema=None) as batch_op:
        batch_op.create_index("ix_param_number", ["experiment_serial", "key", "number", "run_id"], unique=False)
        batch_op.create_index("ix_param_order", ["experiment_serial", "key", "prefix", "run_id"], unique=False)

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

    op.create_table(
        "run_input",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("digest", Str(), nullable=False),
        sa.Column("context", Str(), nullable=False),
        sa.Column("experiment_serial", sa.Integer(), nullable=False),
        sa.Column("source_type", Str(), nullable=False),
        sa.Column("source", Str(), nullable=False),
        sa.Column("schema", Str(), nullable=False),
        sa.Column("profile", Str(), nullable=False),
        sa.Column("tags", Document(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", "digest", "context", name=op.f("pk_run_input")),
    )
    with op.batch_alter_table("run_input", schema=None) as batch_op:
        batch_op.create_index("ix_run_input_name", ["experiment_serial", "name", "digest"], unique=False)

    op.create_table(
        "run_model",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("direction", Str(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model_id", "direction", name=op.f("pk_run_model")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_writer",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("writer", Str(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "writer", name=op.f("pk_run_writer")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tag",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("experiment_serial", sa.Integer(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.Column("prefix", Str(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_tag")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index("ix_tag_order", ["experiment_serial", "key", "prefix", "run_id"], unique=False)

    op.create_table(
        "deployment_generation",
        sa.Column("deployment_id", Str(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("cause", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("alias", Str(), nullable=True),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("routes", Document(), nullable=False),
        sa.Column("settings", Document(), nullable=False),
        sa.Column("note", Str(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_generation_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "generation", name=op.f("pk_deployment_generation")),
    )
    op.create_table(
        "experiment_tag",
        sa.Column("experiment_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_experiment_tag_experiment_id")),
        sa.PrimaryKeyConstraint("experiment_id", "key", name=op.f("pk_experiment_tag")),
        sqlite_with_rowid=False,
    )
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
    op.create_table(
        "logged_model_param",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_logged_model_param_logged_model_id")),
        sa.PrimaryKeyConstraint("logged_model_id", "key", name=op.f("pk_logged_model_param")),
    )
    op.create_table(
        "logged_model_tag",
        sa.Column("logged_model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"], name=op.f("fk_logged_model_tag_logged_model_id")),
        sa.PrimaryKeyConstraint("logged_model_id", "key", name=op.f("pk_logged_model_tag")),
    )
    op.create_table(
        "login_link",
        sa.Column("sha256", Str(), nullable=False),
        sa.Column("principal_id", Str(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_login_link_principal_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_login_link")),
    )
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
    op.create_table(
        "registered_model_tag",
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_registered_model_tag_model_id")),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_registered_model_tag")),
    )
    op.create_table(
        "run",
        sa.Column("id", Id(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("experiment_id", Id(), nullable=False),
        sa.Column("name", Str(), nullable=False),
        sa.Column("status", Str(), nullable=False),
        sa.Column("parent_run_id", Id(), nullable=True),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("user_id", Str(), nullable=False),
        sa.Column("user_name", Str(), nullable=False),
        sa.Column("source", Str(), nullable=False),
        sa.Column("notes", Str(), nullable=False),
        sa.Column("error", Str(), nullable=False),
        sa.Column("environment", Document(), nullable=True),
        sa.Column("resources", Document(), nullable=True),
        sa.Column("last_heartbeat", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_run_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_experiment_started", ["experiment_id", "started", "id"], unique=False)
        batch_op.create_index("ix_run_parent", ["parent_run_id"], unique=False)
        batch_op.create_index("ix_run_project_started", ["project_id", "started", "id"], unique=False)
        batch_op.create_index("ix_run_project_status", ["project_id", "status", "started"], unique=False)
        batch_op.create_index("ix_run_status_heartbeat", ["status", "last_heartbeat"], unique=False)

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


def make_audit_insert_only() -> None:
    """Nobody changes or deletes an audit event by mistake. On PostgreSQL a row is sealed once, after its commit."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_event_no_{verb.lower()} BEFORE {verb} ON audit_event "
                "BEGIN SELECT RAISE(ABORT, 'audit events are insert-only'); END"
            )
        return
    op.execute(
        """
        CREATE FUNCTION audit_event_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.hash IS NULL AND NEW.hash IS NOT NULL
               AND to_jsonb(NEW) - 'position' - 'previous' - 'hash' = to_jsonb(OLD) - 'position' - 'previous' - 'hash' THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'audit events are insert-only';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_event_insert_only BEFORE UPDATE OR DELETE ON audit_event "
        "FOR EACH ROW EXECUTE FUNCTION audit_event_insert_only()"
    )


def downgrade() -> None:
    with op.batch_alter_table("version_hold", schema=None) as batch_op:
        batch_op.drop_index("ix_version_hold_version")

    op.drop_table("version_hold")
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.drop_index("ix_token_principal_id")

    op.drop_table("token")
    op.drop_table("model_version_tag")
    op.drop_table("model_alias")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index("ix_membership_principal_id")

    op.drop_table("membership")
    op.drop_table("card_field")
    op.drop_table("session")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index("ix_run_status_heartbeat")
        batch_op.drop_index("ix_run_project_status")
        batch_op.drop_index("ix_run_project_started")
        batch_op.drop_index("ix_run_parent")
        batch_op.drop_index("ix_run_experiment_started")

    op.drop_table("run")
    op.drop_table("registered_model_tag")
    op.drop_table("project")
    with op.batch_alter_table("model_version", schema=None) as batch_op:
        batch_op.drop_index("ix_model_version_logged_model")

    op.drop_table("model_version")
    with op.batch_alter_table("model_alias_move", schema=None) as batch_op:
        batch_op.drop_index("ix_model_alias_move_model")

    op.drop_table("model_alias_move")
    op.drop_table("login_link")
    op.drop_table("logged_model_tag")
    op.drop_table("logged_model_param")
    op.drop_table("logged_model_file")
    op.drop_table("experiment_tag")
    op.drop_table("deployment_generation")
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.drop_index("ix_tag_order")

    op.drop_table("tag")
    op.drop_table("run_writer")
    op.drop_table("run_model")
    with op.batch_alter_table("run_input", schema=None) as batch_op:
        batch_op.drop_index("ix_run_input_name")

    op.drop_table("run_input")
    with op.batch_alter_table("registered_model", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_registered_model_name", sqlite_where=sa.text("deleted_at IS NULL"), postgresql_where=sa.text("deleted_at IS NULL")
        )

    op.drop_table("registered_model")
    op.drop_table("principal")
    with op.batch_alter_table("param", schema=None) as batch_op:
        batch_op.drop_index("ix_param_order")
        batch_op.drop_index("ix_param_number")

    op.drop_table("param")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_due")

    op.drop_table("outbox")
    with op.batch_alter_table("metric_point", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_metric_point_model",
            sqlite_where=sa.text("model_id IS NOT NULL"),
            postgresql_where=sa.text("model_id IS NOT NULL"),
        )

    op.drop_table("metric_point")
    with op.batch_alter_table("metric_last", schema=None) as batch_op:
        batch_op.drop_index("ix_metric_last_order")

    op.drop_table("metric_last")
    with op.batch_alter_table("logged_model", schema=None) as batch_op:
        batch_op.drop_index("ix_logged_model_run")
        batch_op.drop_index("ix_logged_model_project_created")

    op.drop_table("logged_model")
    op.drop_table("experiment")
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_deployment_name", sqlite_where=sa.text("deleted_at IS NULL"), postgresql_where=sa.text("deleted_at IS NULL")
        )
        batch_op.drop_index("ix_deployment_alias")

    op.drop_table("deployment")
    with op.batch_alter_table("blob_use", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_blob_use_digest"))

    op.drop_table("blob_use")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_event_project_at")
        batch_op.drop_index("ix_audit_event_at")

    op.drop_table("audit_event")
    op.drop_table("artifact")
