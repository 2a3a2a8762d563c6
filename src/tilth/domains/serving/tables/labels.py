"""What came true of predictions, and the scores that it is compared with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, text

from tilth.backends.sql import Id, Str, metadata

scored_prediction = Table(
    "scored_prediction",
    metadata,
    Column("deployment_id", Id, primary_key=True),
    Column("prediction_id", Id, primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("project_id", Id, nullable=False),
    Column("model", Str, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("score", Float),
    # Who was answered: the hash of the route key. Rows of one unit are not independent of each other.
    Column("unit", Id, nullable=False),
    Column("join_key", Id),
    Column("label", Float),
    Column("label_at", BigInteger),
    Index("ix_scored_prediction_at", "deployment_id", "at", "version"),
    Index(
        "ix_scored_prediction_key",
        "deployment_id",
        "join_key",
        "at",
        sqlite_where=text("join_key IS NOT NULL"),
        postgresql_where=text("join_key IS NOT NULL"),
    ),
)

label = Table(
    "label",
    metadata,
    Column("deployment_id", Id, primary_key=True),
    # A prediction and its row; or the hash of a declared key, with row -1 and the moment that the label is of.
    Column("ref", Id, primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("project_id", Id, nullable=False),
    Column("value", Float, nullable=False),
    Column("text", Str, nullable=False),
    Column("matched", Boolean, nullable=False),
    Column("logged", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    Index("ix_label_logged", "deployment_id", "logged"),
    Index(
        "ix_label_waiting",
        "deployment_id",
        "row",
        sqlite_where=text("NOT matched"),
        postgresql_where=text("NOT matched"),
    ),
)

label_correction = Table(
    "label_correction",
    metadata,
    Column("id", Id, primary_key=True),
    Column("deployment_id", Id, nullable=False),
    Column("ref", Id, nullable=False),
    Column("row", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("project_id", Id, nullable=False),
    Column("value", Float, nullable=False),
    Column("text", Str, nullable=False),
    Column("logged", BigInteger, nullable=False),
    Column("actor_id", Str, nullable=False),
    Column("actor_name", Str, nullable=False),
    Column("replaced", BigInteger, nullable=False),
    Column("replaced_by_id", Str, nullable=False),
    Column("replaced_by_name", Str, nullable=False),
    Index("ix_label_correction_of", "deployment_id", "ref", "row", "at", "replaced"),
)
