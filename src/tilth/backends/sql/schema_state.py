"""Whether a database has the schema of this program: the question of every start, answered without alembic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, String, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from tilth.backends.sql.opening import sqlite_path
from tilth.backends.sql.sqlite import sqlite_engine

_REVISION: Select[str] = select(column("version_num", String)).select_from(table("alembic_version"))


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `migrate` did, or, with dry_run, tried on a copy (SQLite) or in a transaction that it undid (PostgreSQL).

    before, after: revision of the schema, None for an empty database; applied: "revision message", oldest first;
    backup: the copy of a SQLite file taken before the change.
    """

    before: str | None
    after: str | None
    applied: tuple[str, ...]
    backup: Path | None
    dry_run: bool


def latest(scripts_folder: Path) -> str | None:
    """Revision of the newest migration: the number that its file name begins with."""
    numbers = [script.name.partition("_")[0] for script in (scripts_folder / "versions").glob("[0-9]*_*.py")]
    return max(numbers, default=None)


def revision_of(database_url: str) -> str | None:
    """Revision of the database; None if it has none, or cannot be asked (then `migrate` says why)."""
    path = sqlite_path(database_url)
    if path is None:
        # psycopg is an optional extra, so its adapter is imported only by those who ask for it.
        from tilth.backends.sql.postgres import postgres_engine

        engine = postgres_engine(database_url)
    else:
        engine = sqlite_engine(path, read_only=True)
    try:
        with engine.connect() as connection:
            there = inspect(connection).has_table("alembic_version")
            return connection.execute(_REVISION).scalar() if there else None
    except DBAPIError:
        return None
