"""Tables of tracking. Moments are milliseconds since the epoch. Every row carries, or belongs to a run that carries, its project.

Metrics: `metric_point` holds every point, `metric_last` one row per (run, metric) for lists, filters and sorting. NaN is the value
NULL (SQLite turns NaN into NULL, PostgreSQL calls NaN > 0.5 true); the infinities are stored as themselves.
Rows of metrics, params and tags repeat experiment and start of their run, so that one index answers "in this experiment, by this
metric, newest first" without touching the run. These rows are nearly all of the database: what each repeats is kept short.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, Table, UniqueConstraint

from tilth.backends.sql import Document, Id, Str, metadata

experiment = Table(
    "experiment",
    metadata,
    # Stands for the experiment in rows that repeat it: a byte or two where its id is 16. Never used again.
    Column("serial", Integer, primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project_id", Str, nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Str, nullable=False),
    Column("artifact_area", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    UniqueConstraint("project_id", "number"),
    UniqueConstraint("project_id", "name"),
    sqlite_autoincrement=True,
)

experiment_tag = Table(
    "experiment_tag",
    metadata,
    Column("experiment_id", Id, ForeignKey("experiment.id"), primary_key=True),
    Column("key", Str, primary_key=True),
    Column("value", Str, nullable=False),
    sqlite_with_rowid=False,
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("experiment_id", Id, ForeignKey("experiment.id"), nullable=False),
    Column("name", Str, nullable=False),
    Column("status", Str, nullable=False),
    Column("parent_run_id", Id),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("user_id", Str, nullable=False),
    Column("user_name", Str, nullable=False),
    Column("source", Str, nullable=False),
    Column("notes", Str, nullable=False),
    Column("error", Str, nullable=False),
    Column("environment", Document),
    Column("resources", Document),
    Column("last_heartbeat", BigInteger),
    Column("created", BigInteger, nullable=False),
    # When it was put out of sight: an archived run is complete, and lists leave it out unless they are asked.
    Column("archived", BigInteger),
    Column("deleted_at", BigInteger),
)
Index("ix_run_project_started", run.c.project_id, run.c.started, run.c.id)
Index("ix_run_experiment_started", run.c.experiment_id, run.c.started, run.c.id)
Index("ix_run_project_status", run.c.project_id, run.c.status, run.c.started)
Index("ix_run_status_heartbeat", run.c.status, run.c.last_heartbeat)
Index("ix_run_parent", run.c.parent_run_id)
Index(
    # The trash, oldest first.
    "ix_run_deleted",
    run.c.deleted_at,
    run.c.id,
    sqlite_where=run.c.deleted_at.is_not(None),
    postgresql_where=run.c.deleted_at.is_not(None),
)

retention_rule = Table(
    # What a project lets go by itself: `action` happens to the runs that `filter` names, `after_days` after their end.
    "retention_rule",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("action", Str, nullable=False),
    Column("filter", Str, nullable=False),
    Column("after_days", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    Index("ix_retention_rule_project", "project_id", "id"),
)

purged_run = Table(
    # Runs that are gone for good, until the last of their rows is: the run's own row goes first, so that nobody meets half a run.
    "purged_run",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("purged", BigInteger, nullable=False),
)

metric_point = Table(
    "metric_point",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("ts", BigInteger, primary_key=True),
    # Tells apart points of one step and moment; grows with every point that a process writes.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double),
    Column("model_id", Str),
    Column("dataset_name", Str),
    Column("dataset_digest", Str),
    # The key is the row: half the size of a table beside its index, and a curve lies together on disk.
    sqlite_with_rowid=False,
)
Index(
    "ix_metric_point_model",
    metric_point.c.model_id,
    metric_point.c.key,
    sqlite_where=metric_point.c.model_id.is_not(None),
    postgresql_where=metric_point.c.model_id.is_not(None),
)

metric_last = Table(
    "metric_last",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("experiment_serial", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("value", Double),
    Column("step", BigInteger, nullable=False),
    Column("ts", BigInteger, nullable=False),
    # Of all points; NULL where it is `value` itself, as it is after the first point.
    Column("min", Double),
    Column("max", Double),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "ix_metric_last_order",
    metric_last.c.experiment_serial,
    metric_last.c.key,
    metric_last.c.value,
    metric_last.c.started,
    metric_last.c.run_id,
)

param = Table(
    "param",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("experiment_serial", Integer, nullable=False),
    Column("value", Str, nullable=False),
    # The first 256 characters: what the index holds.
    Column("prefix", Str, nullable=False),
    # The value as a finite number, where it reads as one.
    Column("number", Double),
    sqlite_with_rowid=False,
)
Index("ix_param_order", param.c.experiment_serial, param.c.key, param.c.prefix, param.c.run_id)
Index(
    # Of the params that read as numbers.
    "ix_param_number",
    param.c.experiment_serial,
    param.c.key,
    param.c.number,
    param.c.run_id,
    sqlite_where=param.c.number.is_not(None),
    postgresql_where=param.c.number.is_not(None),
)

tag = Table(
    "tag",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("experiment_serial", Integer, nullable=False),
    Column("value", Str, nullable=False),
    Column("prefix", Str, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_tag_order", tag.c.experiment_serial, tag.c.key, tag.c.prefix, tag.c.run_id)

run_input = Table(
    "run_input",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("name", Str, primary_key=True),
    Column("digest", Str, primary_key=True),
    Column("context", Str, primary_key=True),
    Column("experiment_serial", Integer, nullable=False),
    Column("source_type", Str, nullable=False),
    Column("source", Str, nullable=False),
    Column("schema", Str, nullable=False),
    Column("profile", Str, nullable=False),
    Column("tags", Document),
    Column("created", BigInteger, nullable=False),
)
Index("ix_run_input_name", run_input.c.experiment_serial, run_input.c.name, run_input.c.digest)

run_model = Table(
    "run_model",
    metadata,
    # The models that a run read (`input`) or made (`output`, at a step), by logged-model id.
    Column("run_id", Id, primary_key=True),
    Column("model_id", Str, primary_key=True),
    Column("direction", Str, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

run_writer = Table(
    "run_writer",
    metadata,
    # The greatest batch number seen of each writing client: a repeated batch is acknowledged without effect.
    Column("run_id", Id, primary_key=True),
    Column("writer", Str, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

artifact = Table(
    "artifact",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("path", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("digest", Str, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_type", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

upload = Table(
    "upload",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("principal_id", Str, nullable=False),
    # Of the whole file, as announced by who sends it; None where it is known only at the end.
    Column("digest", Str),
    Column("size", BigInteger),
    Column("part_bytes", BigInteger, nullable=False),
    # The joined file, once the upload is complete.
    Column("blob", Str),
    Column("blob_size", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
)
Index("ix_upload_file", upload.c.project_id, upload.c.principal_id, upload.c.digest)
Index("ix_upload_touched", upload.c.touched)

upload_part = Table(
    "upload_part",
    metadata,
    Column("upload_id", Str, ForeignKey("upload.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Str, nullable=False),
    Column("size", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
