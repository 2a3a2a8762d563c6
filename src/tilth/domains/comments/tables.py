"""Comments on runs, models and versions, and who is mentioned in them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table

from tilth.backends.sql import Str, metadata

comment = Table(
    "comment",
    metadata,
    Column("id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("thing_kind", Str, nullable=False),
    # Of a run or model its id; of a version `<model id>/<number>`.
    Column("thing_id", Str, nullable=False),
    # What the thing was called when the comment was written: an inbox shows it without asking the thing's own domain.
    Column("thing_label", Str, nullable=False),
    Column("author_id", Str, nullable=False),
    Column("author_name", Str, nullable=False),
    Column("text", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("edited", BigInteger, nullable=True),
    Index("ix_comment_thing", "project_id", "thing_kind", "thing_id", "id"),
)

mention = Table(
    "mention",
    metadata,
    Column("comment_id", Str, ForeignKey("comment.id"), primary_key=True),
    Column("principal_id", Str, primary_key=True),
    Column("project_id", Str, nullable=False),
    Column("seen", BigInteger, nullable=True),
    Index("ix_mention_principal", "principal_id", "comment_id"),
)
