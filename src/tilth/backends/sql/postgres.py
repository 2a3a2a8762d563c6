"""PostgreSQL through psycopg 3: threads that each own a connection, one serializable transaction per job, retried on conflict."""

from __future__ import annotations

import random
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.pool import NullPool

from tilth.backends.sql.database import STATEMENT_TIMEOUT_S, Database
from tilth.backends.sql.errors import (
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    DuplicateRow,
    InvalidText,
    MissingReference,
    NumberOutOfRange,
    ReadersBusy,
    RowRefused,
    StatementTooSlow,
    WriteConflict,
    WriterBusy,
)
from tilth.backends.sql.schema import json_text
from tilth.backends.sql.tx import DialectName, Driver, Tx
from tilth.backends.sql.work import Job, Workers, call
from tilth.core.errors import Invalid, TilthError
from tilth.core.killpoints import reach

try:
    import psycopg
except ImportError as missing:
    raise Invalid("PostgreSQL needs an extra package: pip install 'path/to/the/clone[postgres]'") from missing

WRITERS = 12
READERS = 6
MAX_WAITING = 2048
MAX_ATTEMPTS = 30
"""Three seconds of waits in all: writers who all change one row get through one after another, also on a busy machine."""
CONFLICTS = frozenset({"40001", "40P01"})


class PostgresDatabase(Database):
    dialect: DialectName = "postgresql"

    def __init__(
        self,
        url: str,
        *,
        writers: int = WRITERS,
        readers: int = READERS,
        max_waiting: int = MAX_WAITING,
        timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> None:
        super().__init__()
        engine = postgres_engine(url)
        connected(engine).close()
        stopping = Event()
        self._stopping = stopping
        writing = [PostgresSession(engine, self._wake, stopping, timeout_s, read_only=False) for _ in range(writers)]
        reading = [PostgresSession(engine, self._wake, stopping, timeout_s, read_only=True) for _ in range(readers)]
        self._writers = Workers("sql-write", writing, max_waiting, _writers_busy)
        self._readers = Workers("sql-read", reading, max_waiting, _readers_busy)

    @property
    def waiting_writes(self) -> int:
        return self._writers.waiting

    def close(self) -> None:
        self._stopping.set()
        self._readers.close()
        self._writers.close()

    def _submit_write(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job:
        return self._writers.submit(fn, loop)

    def _submit_read(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job:
        return self._readers.submit(fn, loop)


class PostgresSession:
    """One connection, made when first needed and made again after it broke."""

    def __init__(
        self, engine: Engine, wake: Callable[[Iterable[str]], None], stopping: Event, timeout_s: float, *, read_only: bool
    ) -> None:
        self._engine = engine
        self._wake = wake
        self._stopping = stopping
        self._timeout_ms = round(timeout_s * 1000)
        # Serializable: a job that reads and then writes behaves as it does on SQLite, where there is one writer.
        self._begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else "BEGIN ISOLATION LEVEL SERIALIZABLE"
        self._connection: Connection | None = None
        # Kept apart: once it noticed that a connection broke, SQLAlchemy does not give it out any more.
        self._driver_connection: psycopg.Connection[Any] | None = None

    def run(self, job: Job) -> None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            job.error = None
            try:
                self._once(job)
                return
            except _Again as again:
                job.error = again.reason
            except Exception as error:  # noqa: BLE001 the caller gets it
                job.error = error
                return
            # Full jitter: those who collided once do not collide again in step.
            self._stopping.wait(random.uniform(0, min(0.2, 0.002 * 2**attempt)))

    def close(self) -> None:
        self._drop()

    def _once(self, job: Job) -> None:
        connection, driver = self._open()
        cursor = driver.cursor()
        tx = Tx(connection, cursor, DRIVER, hurry=lambda timeout_s: self._hurry(cursor, timeout_s))
        try:
            cursor.execute(self._begin, prepare=False)
            value = call(job, tx)
            tx.flush()
        except Exception as error:
            self._undo(driver, error)
            raise
        reach("before_commit")
        try:
            cursor.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            self._undo(driver, error, committing=True)
            raise translate(error) or error from error
        reach("after_commit")
        job.value = value
        self._wake(tx.topics)

    def _hurry(self, cursor: psycopg.Cursor[Any], timeout_s: float) -> None:
        timeout_ms = max(1, min(self._timeout_ms, round(timeout_s * 1000)))
        cursor.execute(f"SET LOCAL statement_timeout = {timeout_ms}", prepare=False)

    def _open(self) -> tuple[Connection, psycopg.Connection[Any]]:
        if self._connection is None or self._driver_connection is None:
            self._connection = connected(self._engine)
            driver = raw(self._connection)
            driver.execute(f"SET statement_timeout = {self._timeout_ms}", prepare=False)
            self._driver_connection = driver
        return self._connection, self._driver_connection

    def _undo(self, driver: psycopg.Connection[Any], error: Exception, *, committing: bool = False) -> None:
        """Rolls back, and raises _Again if the job deserves another attempt."""
        driver_error = _driver_error(error)
        broken = bool(driver.closed)
        if broken:
            self._drop()
        else:
            driver.execute("ROLLBACK", prepare=False)
        if driver_error is not None and driver_error.sqlstate in CONFLICTS:
            raise _Again(
                WriteConflict(f"concurrent writes kept changing the same rows ({MAX_ATTEMPTS} attempts): send the request again")
            ) from error
        if broken and committing:
            raise DatabaseUnreachable(
                "the connection to the database broke during the commit, so it is not known whether the write was kept: "
                "look before you send it again"
            ) from error
        if broken:
            raise _Again(DatabaseUnreachable("the connection to the database broke: check the server, then try again")) from error

    def _drop(self) -> None:
        if self._connection is not None and self._driver_connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._driver_connection.close()
        self._connection = self._driver_connection = None


class _Again(Exception):
    """The job's transaction did not count; another attempt may succeed."""

    def __init__(self, reason: TilthError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def postgres_engine(url: str) -> Engine:
    """An engine whose connections leave BEGIN and COMMIT to the caller."""
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"autocommit": True, "application_name": "tilth", "connect_timeout": 5},
        json_serializer=json_text,
        use_native_hstore=False,
    )


def connected(engine: Engine) -> Connection:
    """A connection that SQLAlchemy believes to be in a transaction: otherwise it rolls back ours after any error.

    Raises DatabaseUnreachable.
    """
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise unreachable(error) from error
    connection.begin()
    return connection


def raw(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def translate(error: BaseException) -> TilthError | None:
    """SQLSTATE in our words; None for a mistake in the statement itself and for conflicts, which are retried."""
    state = getattr(error, "sqlstate", None) or ""
    said = str(error).partition("\n")[0]
    match state:
        case "23505":
            return DuplicateRow(f"a row with the same key is there already ({said})")
        case "23503" | "23001":
            return MissingReference("a row refers to one that does not exist, or one that is still referred to was to be removed")
        case "22003":
            return NumberOutOfRange(f"a number does not fit into its column ({said})")
        case "22021" | "22P05":
            return InvalidText(f"text cannot be stored ({said}): remove NUL characters")
        case "53100":
            return DatabaseFull("the disk of the database server is full and nothing was kept: free some space and send it again")
        case "57014":
            return StatementTooSlow(
                "the query took too long and was ended: ask for less, such as fewer rows or a narrower filter"
            )
        case "25006":
            return DatabaseReadOnly(f"the database cannot be written ({said}): use db.write to write")
    if state.startswith("23"):
        return RowRefused(f"the database refused a row: {said}")
    if state.startswith(("08", "57P", "53")):
        return DatabaseUnreachable(f"the database server refused the work ({said}): check the server, then try again")
    if isinstance(error, psycopg.DataError) and "NUL" in said:
        return InvalidText("text holds a NUL character, which cannot be stored: remove it")
    return None


def unreachable(error: DBAPIError) -> DatabaseUnreachable:
    said = " ".join(str(error.orig).split())
    return DatabaseUnreachable(f"the database server cannot be reached ({said}): check database_url and that the server runs")


def _driver_error(error: BaseException | None) -> psycopg.Error | None:
    """The psycopg error behind `error`, whoever wrapped it."""
    while error is not None and not isinstance(error, psycopg.Error):
        error = error.orig if isinstance(error, StatementError) and error.orig is not None else error.__cause__
    return error


def _writers_busy(waiting: int) -> TilthError:
    return WriterBusy(f"{waiting} writes wait for the database already: send the request again in a second")


def _readers_busy(waiting: int) -> TilthError:
    return ReadersBusy(f"{waiting} reads wait for the database already: send the request again in a second")


DRIVER = Driver((psycopg.Error, StatementError, UnicodeEncodeError, OverflowError), translate)
