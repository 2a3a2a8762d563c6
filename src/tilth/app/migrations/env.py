"""Run by alembic for each command. The caller hands over a connection with an open transaction, and commits it."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from tilth.app.migrations.tables import declared_tables
from tilth.backends.sql import Document, Str


def render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Our own column types by their short names, which the template imports."""
    if kind == "type" and isinstance(item, Document | Str):
        return f"{type(item).__name__}()"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=declared_tables(),
    # SQLite cannot alter a column: alembic makes a new table and copies the rows.
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
