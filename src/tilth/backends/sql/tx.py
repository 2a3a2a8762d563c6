"""What an action may do with the database: read rows, write rows, and defer a row to the end of the write group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import StatementError

from tilth.backends.sql.errors import InvalidText, NumberOutOfRange
from tilth.backends.sql.hot import CompiledHot, Hot, Row
from tilth.core.errors import TilthError

DialectName = Literal["sqlite", "postgresql"]
Fold = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Driver:
    """What a Tx must know of the driver: its errors, and their meaning (None for a programming error)."""

    errors: tuple[type[Exception], ...]
    translate: Callable[[BaseException], TilthError | None]


class Deferred:
    """Rows of hot statements that wait for the end of the group, folded per (statement, key)."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[Hot, dict[Any, tuple[Mapping[str, Any], Fold]]] = {}

    def add(self, hot: Hot, key: Any, row: Mapping[str, Any], fold: Fold) -> None:
        waiting = self.rows.setdefault(hot, {})
        old = waiting.get(key)
        waiting[key] = (row if old is None else fold(old[0], row), fold)

    def absorb(self, other: Deferred) -> None:
        for hot, waiting in other.rows.items():
            for key, (row, fold) in waiting.items():
                self.add(hot, key, row, fold)

    def copy(self) -> Deferred:
        copied = Deferred()
        copied.rows = {hot: dict(waiting) for hot, waiting in self.rows.items()}
        return copied

    def take(self) -> Deferred:
        taken = Deferred()
        taken.rows, self.rows = self.rows, {}
        return taken


class Tx:
    """One job's view of one transaction. Never kept after the job, never committed by it.

    A statement is a SQLAlchemy Core executable or a `Hot`. Driver errors come out as the errors of `backends.sql.errors`.
    A caught error leaves the transaction usable only inside `with tx.savepoint()`, since PostgreSQL gives up on the rest otherwise.
    """

    __slots__ = ("_connection", "_cursor", "_driver", "_hurry", "confined_to", "dialect", "group", "own", "topics", "written")

    def __init__(
        self,
        connection: Connection,
        cursor: Any,
        driver: Driver,
        group: Deferred | None = None,
        hurry: Callable[[float], None] | None = None,
    ) -> None:
        self.dialect: DialectName = cast(DialectName, connection.dialect.name)
        self._connection = connection
        self._cursor = cursor
        self._driver = driver
        self._hurry = hurry
        self.group = Deferred() if group is None else group
        self.own = Deferred()
        self.written: Deferred | None = None
        """Rows of earlier jobs of the group that this job flushed: they wait again if this job fails."""
        self.topics: set[str] = set()
        self.confined_to: str | None = None
        """Id of the one thing that the caller may write, with what hangs below it; None: no such bound. The gate sets it."""

    def all(self, stmt: Executable | Hot, /, **params: Any) -> list[Row]:
        """Every row. Bound the statement with LIMIT: there is none here."""
        try:
            if isinstance(stmt, Hot):
                compiled = self._start(stmt, params)
                return compiled.rows(self._cursor, self._cursor.fetchall())
            return cast("list[Row]", list(self._connection.execute(stmt, params or None)))
        except self._driver.errors as error:
            self._refuse(error)

    def one(self, stmt: Executable | Hot, /, **params: Any) -> Row | None:
        """The first row, or None."""
        try:
            if isinstance(stmt, Hot):
                compiled = self._start(stmt, params)
                first = self._cursor.fetchall()[:1]
                return compiled.rows(self._cursor, first)[0] if first else None
            return cast("Row | None", self._connection.execute(stmt, params or None).first())
        except self._driver.errors as error:
            self._refuse(error)

    def scalar(self, stmt: Executable | Hot, /, **params: Any) -> Any:
        """First column of the first row, or None."""
        row = self.one(stmt, **params)
        return None if row is None else row[0]

    def run(self, stmt: Executable | Hot, /, **params: Any) -> int:
        """Rows changed."""
        try:
            if isinstance(stmt, Hot):
                self._start(stmt, params)
                return int(self._cursor.rowcount)
            return self._connection.execute(stmt, params or None, execution_options={"preserve_rowcount": True}).rowcount
        except self._driver.errors as error:
            self._refuse(error)

    def many(self, stmt: Executable | Hot, rows: Sequence[Mapping[str, Any]], /) -> int:
        """The statement once for each row. Rows changed in all; 0 without rows."""
        if not rows:
            return 0
        try:
            if isinstance(stmt, Hot):
                compiled = stmt.compiled(self._connection.dialect)
                self._cursor.executemany(compiled.text, [compiled.arguments(row) for row in rows])
                return int(self._cursor.rowcount)
            return self._connection.execute(
                stmt, [dict(row) for row in rows], execution_options={"preserve_rowcount": True}
            ).rowcount
        except self._driver.errors as error:
            self._refuse(error)

    def coalesce(self, hot: Hot, key: Any, row: Mapping[str, Any], fold: Fold) -> None:
        """Writes `row` by `hot` at the end of the group; rows of equal (hot, key) become one by `fold(old, new)` first.

        key: hashable and sortable, such as (run, metric). Unseen by reads until the commit, unless `flush` is called.
        The hot statement must itself fold with what is stored: it is an upsert.
        """
        self.own.add(hot, key, row, fold)

    def flush(self) -> None:
        """Writes the deferred rows of this job and of earlier jobs of its group now, so that this job can read them."""
        if self.group.rows:
            earlier = self.group.take()
            if self.written is None:
                self.written = Deferred()
            self.written.absorb(earlier)
            self.write(earlier)
        self.write(self.own.take())

    def write(self, deferred: Deferred) -> None:
        for hot, waiting in deferred.rows.items():
            # One order for everybody: two PostgreSQL transactions that lock rows in different orders deadlock.
            self.many(hot, [waiting[key][0] for key in sorted(waiting)])

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What fails inside is undone, and the transaction goes on if the caller catches the error."""
        kept_own, kept_group, kept_written = self.own.copy(), self.group.rows, self.written
        self._cursor.execute("SAVEPOINT inner_part")
        try:
            yield
        except BaseException:
            self._cursor.execute("ROLLBACK TO SAVEPOINT inner_part")
            self._cursor.execute("RELEASE SAVEPOINT inner_part")
            self.own, self.group.rows, self.written = kept_own, kept_group, kept_written
            raise
        self._cursor.execute("RELEASE SAVEPOINT inner_part")

    def hurry(self, timeout_s: float) -> None:
        """From now on this job may take so long, on PostgreSQL each of its statements; then StatementTooSlow. Only ever shortens."""
        if self._hurry is not None:
            self._hurry(timeout_s)

    def announce(self, topic: str) -> None:
        """After the commit, wakes those who listen to `topic` in this process (see Database.listen)."""
        self.topics.add(topic)

    def _start(self, stmt: Hot, params: Mapping[str, Any]) -> CompiledHot:
        compiled = stmt.compiled(self._connection.dialect)
        self._cursor.execute(compiled.text, compiled.arguments(params))
        return compiled

    def _refuse(self, error: Exception) -> NoReturn:
        cause: BaseException = error.orig if isinstance(error, StatementError) and error.orig is not None else error
        if isinstance(cause, TilthError):
            raise cause from None
        meaning = in_words(cause, self._driver)
        if meaning is None:
            raise error
        raise meaning from cause


def in_words(cause: BaseException, driver: Driver) -> TilthError | None:
    """The error that a caller can act on, or None for one that only a programmer can."""
    if isinstance(cause, UnicodeEncodeError):
        return InvalidText(f"text cannot be stored as UTF-8 ({cause.reason}): remove lone surrogates")
    if isinstance(cause, OverflowError):
        return NumberOutOfRange("a number does not fit into 64 bits: integers must lie between -2**63 and 2**63 - 1")
    return driver.translate(cause)
