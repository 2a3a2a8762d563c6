"""Logged models, registered models, their versions and aliases. Columns hold all that MLflow's objects carry."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, Table, text

from tilth.backends.sql import Document, Str, metadata

logged_model = Table(
    "logged_model",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("experiment_id", Str),
    Column("source_run_id", Str),
    Column("name", Str, nullable=False),
    Column("model_type", Str, nullable=False),
    Column("status", Str, nullable=False),
    Column("status_message", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    Column("manifest_digest", Str),
    Column("size", BigInteger, nullable=False),
    Column("flavour", Str, nullable=False),
    Column("document", Document),
    # The address that its files were taken from when a version was registered of it: no model that somebody logged.
    Column("copied_from", Str),
    Column("deleted_at", BigInteger),
    # Why it may not be served although its files are complete; follows from its row in model_provenance.
    Column("barred", Str),
    Index("ix_logged_model_project_created", "project_id", "created", "id"),
    Index("ix_logged_model_run", "project_id", "source_run_id"),
)

model_provenance = Table(
    # A model that was made elsewhere: what a look at its files found, and who trusts it.
    "model_provenance",
    metadata,
    Column("logged_model_id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("source", Str, nullable=False),
    Column("sha256", Str, nullable=False),
    Column("format", Str, nullable=False),
    Column("runs_code", Boolean, nullable=False),
    Column("verdict", Str, nullable=False),
    Column("findings", Document, nullable=False),
    Column("scanner", Str, nullable=False),
    Column("note", Str, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    Column("recorder_id", Str, nullable=False),
    Column("recorder_name", Str, nullable=False),
    Column("trusted", BigInteger),
    Column("truster_id", Str),
    Column("truster_name", Str, nullable=False),
    Column("trust_reason", Str, nullable=False),
    ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"]),
)

logged_model_file = Table(
    "logged_model_file",
    metadata,
    Column("logged_model_id", Str, primary_key=True),
    Column("path", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("digest", Str, nullable=False),
    Column("size", BigInteger, nullable=False),
    ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"]),
)

logged_model_param = Table(
    "logged_model_param",
    metadata,
    Column("logged_model_id", Str, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("value", Str, nullable=False),
    ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"]),
)

logged_model_tag = Table(
    "logged_model_tag",
    metadata,
    Column("logged_model_id", Str, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("value", Str, nullable=False),
    ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"]),
)

registered_model = Table(
    "registered_model",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("name", Str, nullable=False),
    Column("description", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    # Numbers are never given twice, not even after the highest version was deleted.
    Column("last_version", Integer, nullable=False),
    Column("deleted_at", BigInteger),
    # A deleted model keeps its row, so that it can come back; its name is free meanwhile.
    Index(
        "ux_registered_model_name",
        "project_id",
        "name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

registered_model_tag = Table(
    "registered_model_tag",
    metadata,
    Column("model_id", Str, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("value", Str, nullable=False),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
)

model_version = Table(
    "model_version",
    metadata,
    Column("model_id", Str, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    # NULL for a version whose files lie elsewhere: then `source` alone says where.
    Column("logged_model_id", Str),
    Column("manifest_digest", Str),
    Column("run_id", Str),
    Column("run_link", Str, nullable=False),
    Column("source", Str, nullable=False),
    Column("status", Str, nullable=False),
    Column("status_message", Str, nullable=False),
    Column("stage", Str, nullable=False),
    Column("description", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    Column("deleted_at", BigInteger),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    ForeignKeyConstraint(["logged_model_id"], ["logged_model.id"]),
    Index("ix_model_version_logged_model", "project_id", "logged_model_id"),
)

model_version_tag = Table(
    "model_version_tag",
    metadata,
    Column("model_id", Str, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("key", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("value", Str, nullable=False),
    ForeignKeyConstraint(["model_id", "version"], ["model_version.model_id", "model_version.version"]),
)

card_field = Table(
    "card_field",
    metadata,
    Column("model_id", Str, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("field", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("text", Str, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("author_id", Str, nullable=False),
    Column("author_name", Str, nullable=False),
    ForeignKeyConstraint(["model_id", "version"], ["model_version.model_id", "model_version.version"]),
)

model_alias = Table(
    "model_alias",
    metadata,
    Column("model_id", Str, primary_key=True),
    Column("alias", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
    ForeignKeyConstraint(["model_id", "version"], ["model_version.model_id", "model_version.version"]),
)

model_alias_move = Table(
    "model_alias_move",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("alias", Str, nullable=False),
    Column("previous", Integer),
    Column("version", Integer),
    Column("moved", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    Index("ix_model_alias_move_model", "model_id", "id"),
)

version_hold = Table(
    # Who still needs a version (a deployment, say): domains above write it, so that this one can refuse a deletion and name the reason.
    "version_hold",
    metadata,
    Column("holder", Str, primary_key=True),
    Column("model_id", Str, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("label", Str, nullable=False),
    Column("alias", Str),
    ForeignKeyConstraint(["model_id", "version"], ["model_version.model_id", "model_version.version"]),
    Index("ix_version_hold_version", "model_id", "version"),
)

evaluation = Table(
    # body: metrics, slices, latency and paired differences: read as a whole, never searched.
    "evaluation",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("logged_model_id", Str),
    Column("model_id", Str),
    Column("version", Integer),
    Column("name", Str, nullable=False),
    Column("dataset", Str, nullable=False),
    Column("dataset_digest", Str, nullable=False),
    Column("rows_digest", Str, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("task", Str, nullable=False),
    Column("body", Document, nullable=False),
    Column("run_id", Str),
    Column("scores_digest", Str),
    Column("scores_size", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    Index("ix_evaluation_version", "project_id", "model_id", "version", "id"),
    Index("ix_evaluation_logged_model", "project_id", "logged_model_id", "id"),
)

gate = Table(
    "gate",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("number", Integer, nullable=False),
    Column("expression", Str, nullable=False),
    Column("evaluation", Str, nullable=False),
    Column("aliases", Document, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("creator_id", Str, nullable=False),
    Column("creator_name", Str, nullable=False),
    # A removed gate keeps its row: its number stands in checks that were kept.
    Column("removed", BigInteger),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    Index("ux_gate_number", "model_id", "number", unique=True),
)

gate_check = Table(
    "gate_check",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("version", Integer, nullable=False),
    Column("alias", Str, nullable=False),
    Column("cause", Str, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("override_reason", Str, nullable=False),
    Column("verdicts", Document, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    Index("ix_gate_check_version", "project_id", "model_id", "version", "id"),
)

approval = Table(
    "approval",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("model_id", Str, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Str, nullable=False),
    Column("comment", Str, nullable=False),
    Column("requested", BigInteger, nullable=False),
    Column("requester_id", Str, nullable=False),
    Column("requester_name", Str, nullable=False),
    Column("decision_comment", Str, nullable=False),
    Column("decided", BigInteger),
    Column("decider_id", Str),
    Column("decider_name", Str, nullable=False),
    ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
    Index("ix_approval_version", "project_id", "model_id", "version", "id"),
)

model_policy = Table(
    # model_id empty: the policy of the project, for models without one of their own.
    "model_policy",
    metadata,
    Column("project_id", Str, primary_key=True),
    Column("model_id", Str, primary_key=True),
    Column("free_aliases", Document, nullable=False),
    Column("approval_for", Document, nullable=False),
    Column("separate_duties", Boolean, nullable=False),
    Column("updated", BigInteger, nullable=False),
)
