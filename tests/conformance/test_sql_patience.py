"""A query that never ends takes no connection away from the others."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tilth.backends.sql import Database, StatementTooSlow
from tilth.backends.sql.opening import sqlite_path
from tilth.backends.sql.postgres import PostgresDatabase
from tilth.backends.sql.sqlite import SqliteDatabase

ENDLESS = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n")


def impatient(url: str) -> Database:
    path = sqlite_path(url)
    if path is None:
        return PostgresDatabase(url, readers=1, writers=1, timeout_s=0.2)
    return SqliteDatabase(path, readers=1, timeout_s=0.2)


def test_an_endless_query_is_ended_and_the_connection_goes_on(database_url: str) -> None:
    database = impatient(database_url)
    try:
        with pytest.raises(StatementTooSlow, match="ask for less"):
            database.read_blocking(lambda tx: tx.scalar(ENDLESS))
        assert database.read_blocking(lambda tx: tx.scalar(text("SELECT 7"))) == 7
    finally:
        database.close()
