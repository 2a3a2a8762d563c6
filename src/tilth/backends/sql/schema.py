"""The one MetaData that every domain declares its tables on, the column types, and `upsert`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Dialect, MetaData, Table, Text, create_engine
from sqlalchemy.dialects.postgresql import JSONB, Insert
from sqlalchemy.dialects.postgresql import insert as on_conflict_insert
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator, TypeEngine

from tilth.backends.sql.errors import InvalidText

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Str(TypeDecorator[str]):
    """Text that both databases order and compare by code point (COLLATE "C" on PostgreSQL). Refuses NUL: raises InvalidText."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and "\0" in value:
            raise InvalidText(f"text {value[:40]!r} holds a NUL character, which cannot be stored: remove it")
        return value


class Document(TypeDecorator[Any]):
    """A JSON document: text on SQLite, jsonb on PostgreSQL, which keeps no order of keys. None is NULL.

    Raises InvalidText for NaN, infinities and NUL characters: neither JSON nor jsonb knows them.
    """

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True))


def json_text(value: object) -> str:
    """Compact JSON for a Document. Raises InvalidText; a value of a type that JSON does not know raises TypeError."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as refused:
        raise InvalidText(f"a document cannot be stored as JSON ({refused}): write NaN and infinities as text") from refused
    if "\\u0000" in text and _JSON_NUL.search(text):
        raise InvalidText("a document holds a NUL character, which cannot be stored: remove it")
    return text


Updates = Sequence[str] | Callable[[Any, Any], Mapping[str, Any]] | None


def upsert(table: Table, keys: Sequence[str], update: Updates = None) -> Insert:
    """INSERT ... ON CONFLICT (keys) for both databases.

    update: columns to take over from the refused row; or a function of (the stored columns, the refused columns) that gives
    column -> expression, such as `lambda old, new: {"n": old.n + new.n}`; None leaves the stored row as it is.
    """
    # SQLAlchemy's PostgreSQL construct is one that the SQLite compiler also renders; the conformance suite holds it to that.
    statement = on_conflict_insert(table)
    if update is None:
        return statement.on_conflict_do_nothing(index_elements=list(keys))
    excluded = statement.excluded
    changes = update(table.c, excluded) if callable(update) else {name: excluded[name] for name in update}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=dict(changes))


def create_tables(url: str, tables: MetaData = metadata) -> None:
    """Makes every declared table that is not there yet, without migrations: for tests of tables that are still growing."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    tables.create_all(engine)
    engine.dispose()
