"""SQLite: ONE writer thread that commits groups of jobs, and a pool of read-only connections.

WAL with deferred BEGIN gave 148,583 "database is locked" errors under 16 writers and IMMEDIATE starved some of them; one writer
has neither, and a group pays one sync for many jobs. In 1,000 simulated power cuts synchronous=NORMAL lost acknowledged commits
in 969, FULL in none.
"""

from __future__ import annotations

import errno
import sqlite3
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.pool import NullPool

from tilth.backends.sql.database import STATEMENT_TIMEOUT_S, Database
from tilth.backends.sql.errors import (
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    DuplicateRow,
    MissingReference,
    ReadersBusy,
    RowRefused,
    StatementTooSlow,
    WriterBusy,
)
from tilth.backends.sql.location import check_sqlite_location
from tilth.backends.sql.schema import json_text
from tilth.backends.sql.sqlite_writer import GroupWriter
from tilth.backends.sql.tx import DialectName, Driver, Tx
from tilth.backends.sql.work import Job, Workers, call
from tilth.core.clock import monotonic
from tilth.core.errors import TilthError

READERS = 4
MAX_WAITING_READS = 1024
MAX_WAITING_WRITES = 2048
BUSY_TIMEOUT_S = 5.0
STEPS_BETWEEN_LOOKS = 100_000
"""Instructions of SQLite's virtual machine (about a millisecond) between two looks at the clock."""


class SqliteDatabase(Database):
    dialect: DialectName = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        readers: int = READERS,
        max_waiting_writes: int = MAX_WAITING_WRITES,
        max_group: int = 256,
        timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> None:
        super().__init__()
        check_sqlite_location(path)
        engine = sqlite_engine(path)
        writer = connected(engine)
        self._writer = GroupWriter(writer, raw(writer), DRIVER, self._wake, max_waiting=max_waiting_writes, max_group=max_group)
        reading = sqlite_engine(path, read_only=True)
        self._readers = Workers(
            "sql-read", [ReadSession(connected(reading), timeout_s) for _ in range(readers)], MAX_WAITING_READS, readers_busy
        )

    @property
    def waiting_writes(self) -> int:
        return self._writer.waiting

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    def _submit_write(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job:
        return self._writer.submit(fn, loop)

    def _submit_read(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job:
        return self._readers.submit(fn, loop)


class ReadSession:
    """A read-only connection; each job sees one snapshot, for at most `timeout_s`."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._cursor = raw(connection).cursor()
        self._timeout_s = timeout_s
        self._deadline_s = float("inf")
        raw(connection).set_progress_handler(self._overdue, STEPS_BETWEEN_LOOKS)

    def _overdue(self) -> bool:
        return monotonic() > self._deadline_s

    def _hurry(self, timeout_s: float) -> None:
        self._deadline_s = min(self._deadline_s, monotonic() + timeout_s)

    def run(self, job: Job) -> None:
        self._deadline_s = monotonic() + self._timeout_s
        try:
            self._cursor.execute("BEGIN")
            job.value = call(job, Tx(self._connection, self._cursor, DRIVER, hurry=self._hurry))
        except sqlite3.Error as error:
            job.error = translate(error) or error
        except Exception as error:  # noqa: BLE001 the caller gets it
            job.error = error
        finally:
            self._deadline_s = float("inf")
            if raw(self._connection).in_transaction:
                self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """An engine whose connections leave BEGIN and COMMIT to the caller. Raises sqlite3 errors when it connects."""

    def connect() -> sqlite3.Connection:
        if not read_only:
            # The file may hold hashes of tokens and whatever users log: nobody else on the machine shall read it.
            _touch(path)
        target = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(target, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _pragmas(read_only):
                connection.execute(f"PRAGMA {pragma}")
            if not read_only:
                _use_wal(connection, path)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, paramstyle="named", json_serializer=json_text)


def _touch(path: Path) -> None:
    try:
        path.touch(mode=0o600)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DatabaseFull(f"no space is left for {path}: free some, then try again") from error
        raise DatabaseUnreachable(
            f"{path} cannot be written ({error.strerror}): check that its folder exists and is yours, or choose another home"
        ) from error


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise DatabaseUnreachable(f"{path} lies on a file system without shared memory for SQLite's WAL: choose a local disk")


def connected(engine: Engine) -> Connection:
    """A connection that SQLAlchemy believes to be in a transaction: otherwise it rolls back ours after any error.

    Raises DatabaseUnreachable, DatabaseDamaged, WriterBusy.
    """
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise translate(error.orig or error) or error from error
    connection.begin()
    return connection


def _pragmas(read_only: bool) -> list[str]:
    both = ["foreign_keys=ON", "case_sensitive_like=ON", "temp_store=MEMORY", "cache_size=-16000"]
    if read_only:
        return [*both, "query_only=ON"]
    # The default of 1000 pages syncs the database file after every few groups; 4000 pages are 16 MB of WAL.
    return [*both, "synchronous=FULL", "wal_autocheckpoint=4000", "journal_size_limit=67108864"]


def raw(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def readers_busy(waiting: int) -> ReadersBusy:
    return ReadersBusy(f"{waiting} reads wait for the database already: send the request again in a second")


def translate(error: BaseException) -> TilthError | None:
    """SQLite's result codes in our words; None for a mistake in the statement itself."""
    name = getattr(error, "sqlite_errorname", "") or ""
    match name.split("_")[1:]:
        case ["CONSTRAINT", "UNIQUE" | "PRIMARYKEY" | "ROWID"]:
            return DuplicateRow(f"a row with the same {_columns(error)} is there already")
        case ["CONSTRAINT", "FOREIGNKEY" | "TRIGGER"]:
            return MissingReference("a row refers to one that does not exist, or one that is still referred to was to be removed")
        case ["CONSTRAINT", *_]:
            return RowRefused(f"the database refused a row: {error}")
        case ["FULL"]:
            return DatabaseFull("the disk under the database is full and nothing was kept: free some space and send it again")
        case ["IOERR", *_]:
            return DatabaseUnreachable(
                f"the database file could not be read or written ({error}): check its disk, then try again"
            )
        case ["CANTOPEN", *_]:
            return DatabaseUnreachable(f"the database file cannot be opened ({error}): check that its folder exists and is yours")
        case ["READONLY", *_] | ["PERM"]:
            return DatabaseReadOnly(
                f"the database cannot be written ({error}): check the rights of its file and folder, and use db.write to write"
            )
        case ["INTERRUPT"]:
            return StatementTooSlow(
                "the query took too long and was ended: ask for less, such as fewer rows or a narrower filter"
            )
        case ["CORRUPT", *_] | ["NOTADB"]:
            return DatabaseDamaged(f"the database file is damaged ({error}): stop Tilth and put back the latest backup")
        case ["BUSY", *_] | ["LOCKED", *_]:
            return WriterBusy(
                f"another program holds the database for longer than {BUSY_TIMEOUT_S:g} s ({error}): end it, or try again"
            )
        case _:
            return None


def _columns(error: BaseException) -> str:
    return str(error).partition(": ")[2] or "key"


DRIVER = Driver((sqlite3.Error, StatementError, UnicodeEncodeError, OverflowError), translate)
