"""Experiments, runs and what they log.

Each function makes the table of its name, with its indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Id, Str


def experiment() -> None:
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


def experiment_tag() -> None:
    op.create_table(
        "experiment_tag",
        sa.Column("experiment_id", Id(), nullable=False),
        sa.Column("key", Str(), nullable=False),
        sa.Column("value", Str(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_experiment_tag_experiment_id")),
        sa.PrimaryKeyConstraint("experiment_id", "key", name=op.f("pk_experiment_tag")),
        sqlite_with_rowid=False,
    )


def run() -> None:
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


def run_input() -> None:
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


def run_model() -> None:
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


def run_writer() -> None:
    op.create_table(
        "run_writer",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("writer", Str(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "writer", name=op.f("pk_run_writer")),
        sqlite_with_rowid=False,
    )


def artifact() -> None:
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


def metric_last() -> None:
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


def metric_point() -> None:
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


def param() -> None:
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


def tag() -> None:
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


TABLES = (experiment, experiment_tag, run, run_input, run_model, run_writer, artifact, metric_last, metric_point, param, tag)
"""Each after those that it refers to."""
