"""The database behind one interface: SQLite or PostgreSQL, transactions, deferred rows, outbox, use of blobs."""

from tilth.backends.sql import blob_use, outbox
from tilth.backends.sql.database import Database
from tilth.backends.sql.errors import (
    DatabaseClosed,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseTooNew,
    DatabaseUnreachable,
    DuplicateRow,
    InvalidText,
    MigrationFailed,
    MissingReference,
    NetworkFileSystem,
    NumberOutOfRange,
    ReadersBusy,
    RowRefused,
    StatementTooSlow,
    WriteConflict,
    WriterBusy,
)
from tilth.backends.sql.hot import Hot, Row, hot
from tilth.backends.sql.ids import Id, id_text
from tilth.backends.sql.location import check_sqlite_location
from tilth.backends.sql.opening import InvalidDatabaseUrl, open_database
from tilth.backends.sql.patterns import compared, contains, like
from tilth.backends.sql.schema import Document, Str, create_tables, metadata, upsert
from tilth.backends.sql.schema_state import MigrationReport
from tilth.backends.sql.tx import Tx
from tilth.backends.sql.upgrade import migrate

__all__ = [
    "Database",
    "DatabaseClosed",
    "DatabaseDamaged",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseTooNew",
    "DatabaseUnreachable",
    "Document",
    "DuplicateRow",
    "Hot",
    "Id",
    "InvalidDatabaseUrl",
    "InvalidText",
    "MigrationFailed",
    "MigrationReport",
    "MissingReference",
    "NetworkFileSystem",
    "NumberOutOfRange",
    "ReadersBusy",
    "Row",
    "RowRefused",
    "StatementTooSlow",
    "Str",
    "Tx",
    "WriteConflict",
    "WriterBusy",
    "blob_use",
    "check_sqlite_location",
    "compared",
    "contains",
    "create_tables",
    "hot",
    "id_text",
    "like",
    "metadata",
    "migrate",
    "open_database",
    "outbox",
    "upsert",
]
