"""From a URL to a database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tilth.backends.sql.database import Database
from tilth.backends.sql.sqlite import SqliteDatabase
from tilth.core.errors import Invalid


class InvalidDatabaseUrl(Invalid):
    """The URL names no database that Tilth can use."""


def open_database(url: str) -> Database:
    """`sqlite:////absolute/path.db` or `postgresql://user@host/name`. The file is made if it is not there; tables are not.

    Raises InvalidDatabaseUrl, NetworkFileSystem, DatabaseUnreachable, DatabaseDamaged.
    """
    path = sqlite_path(url)
    if path is not None:
        return SqliteDatabase(path)
    # psycopg is an optional extra, so its adapter is imported only by those who ask for it.
    from tilth.backends.sql.postgres import PostgresDatabase

    return PostgresDatabase(url)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for PostgreSQL. Raises InvalidDatabaseUrl for anything else."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _not_a_database() from error
    if parsed.get_backend_name() == "sqlite" and parsed.database and Path(parsed.database).is_absolute():
        return Path(parsed.database)
    if parsed.get_backend_name() == "postgresql":
        return None
    raise _not_a_database()


def _not_a_database() -> InvalidDatabaseUrl:
    # The URL itself is not shown: it may hold a password.
    return InvalidDatabaseUrl("database_url must be sqlite:////absolute/path.db or postgresql://user@host/name")
