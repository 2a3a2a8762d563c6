"""The one thread that writes to SQLite: BEGIN IMMEDIATE, a savepoint per job, COMMIT, and only then the answers."""

from __future__ import annotations

import logging
import sqlite3
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection

from tilth.backends.sql.errors import DatabaseUnreachable, WriterBusy
from tilth.backends.sql.tx import Deferred, Driver, Tx
from tilth.backends.sql.work import Job, answer_all, call, closed
from tilth.core.clock import monotonic
from tilth.core.errors import TilthError
from tilth.core.killpoints import reach

log = logging.getLogger("tilth.sql")

MAX_GROUP_S = 0.02
"""A group takes no more jobs after this long, so that its first caller does not wait for ever."""


class GroupLost(Exception):
    """SQLite undid the whole transaction because of one statement (disk full, input/output error)."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class GroupWriter:
    """Takes jobs from a bounded queue and commits them in groups. Owns its connection from the first job to `close`."""

    def __init__(
        self,
        connection: Connection,
        driver_connection: sqlite3.Connection,
        driver: Driver,
        wake: Callable[[Iterable[str]], None],
        *,
        max_waiting: int,
        max_group: int,
    ) -> None:
        self._connection = connection
        self._raw = driver_connection
        self._cursor = driver_connection.cursor()
        self._driver = driver
        self._wake = wake
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._ending = False
        self._thread = threading.Thread(target=self._serve, name="tilth-sql-write", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job:
        job = Job(fn, loop)
        with self._lock:
            if self._closed:
                raise closed()
            waiting = self._queue.qsize()
            if waiting >= self._max_waiting:
                raise WriterBusy(f"{waiting} writes wait for the database already: send the request again in a second")
            self._queue.put(job)
        return job

    def close(self) -> None:
        """Writes what was accepted, then closes the connection, which also folds the WAL back into the database."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while not self._ending:
            job = self._queue.get()
            if job is None:
                break
            self._write_group(job)
        self._connection.close()

    def _write_group(self, first: Job) -> None:
        jobs: list[Job] = []
        topics: set[str] = set()
        try:
            self._run_group(first, jobs, topics)
        except _Unattributed:
            self._roll_back()
            topics.clear()
            self._one_by_one(jobs, topics)
        except GroupLost as lost:
            self._fail_all(jobs, lost.cause)
        except Exception as error:  # noqa: BLE001 the outermost loop of the thread: it must answer and live on
            self._fail_all(jobs, error)
        answer_all(jobs)
        self._wake(topics)

    def _run_group(self, first: Job, jobs: list[Job], topics: set[str]) -> None:
        """Fills `jobs` with what it took from the queue, so that the caller can answer whatever happens."""
        jobs.append(first)
        self._cursor.execute("BEGIN IMMEDIATE")
        deadline = monotonic() + MAX_GROUP_S
        deferred = Deferred()
        job: Job | None = first
        while job is not None:
            self._run_job(job, deferred, topics)
            reach("mid_group")
            job = self._next(len(jobs), deadline)
            if job is not None:
                jobs.append(job)
        self._flush(deferred, only=jobs[0] if len(jobs) == 1 else None)
        try:
            self._commit()
        except sqlite3.IntegrityError as error:
            # A constraint that is checked at the commit only: one job broke it, the others may still be kept.
            raise _Unattributed from error

    def _next(self, taken: int, deadline: float) -> Job | None:
        if taken >= self._max_group or monotonic() > deadline:
            return None
        try:
            job = self._queue.get_nowait()
        except Empty:
            return None
        if job is None:
            self._ending = True
        return job

    def _run_job(self, job: Job, deferred: Deferred, topics: set[str]) -> None:
        """Runs one job in a savepoint. An error of the job stays with the job; its neighbours do not notice."""
        if job.future.cancelled():
            return
        tx = Tx(self._connection, self._cursor, self._driver, deferred)
        self._cursor.execute("SAVEPOINT job")
        try:
            job.value = call(job, tx)
        except Exception as error:
            job.error = error
            if not self._raw.in_transaction:
                raise GroupLost(error) from error
            self._cursor.execute("ROLLBACK TO job")
            self._cursor.execute("RELEASE job")
            if tx.written is not None:
                deferred.absorb(tx.written)
            return
        self._cursor.execute("RELEASE job")
        deferred.absorb(tx.own)
        topics |= tx.topics

    def _flush(self, deferred: Deferred, only: Job | None) -> None:
        """Writes the deferred rows. If they are refused, the blame is the only job's, or must be looked for."""
        try:
            Tx(self._connection, self._cursor, self._driver).write(deferred)
        except Exception as error:
            if not self._raw.in_transaction:
                raise GroupLost(error) from error
            if only is None:
                raise _Unattributed from error
            only.error = error
            self._roll_back()
            self._cursor.execute("BEGIN IMMEDIATE")

    def _one_by_one(self, jobs: list[Job], topics: set[str]) -> None:
        """Runs each job again in a group of its own: one of them broke a rule, and only that one shall fail."""
        for job in jobs:
            if job.error is not None:
                continue
            own_topics: set[str] = set()
            try:
                self._cursor.execute("BEGIN IMMEDIATE")
                deferred = Deferred()
                self._run_job(job, deferred, own_topics)
                self._flush(deferred, only=job)
                self._commit()
                topics |= own_topics
            except GroupLost as lost:
                self._fail_all([job], lost.cause)
            except Exception as error:  # noqa: BLE001 the caller gets it
                self._fail_all([job], error)

    def _commit(self) -> None:
        reach("before_commit")
        self._cursor.execute("COMMIT")
        reach("after_commit")

    def _roll_back(self) -> None:
        if self._raw.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _fail_all(self, jobs: list[Job], cause: BaseException) -> None:
        """Nothing of the group was kept: each job that has no error of its own gets one."""
        try:
            self._roll_back()
        except sqlite3.Error:
            log.exception("the write group could not be rolled back")
        meaning = cause if isinstance(cause, TilthError) else self._driver.translate(cause)
        if meaning is None:
            log.error("a write group failed", exc_info=cause)
            meaning = DatabaseUnreachable(f"the write group could not be committed ({cause}); nothing of it was kept: try again")
        for job in jobs:
            if job.error is None:
                # Its own instance: one raised in several tasks would collect the tracebacks of all of them.
                job.error = type(meaning)(str(meaning))
                job.error.__cause__ = cause


class _Unattributed(Exception):
    """The database refused a whole group for what one of its jobs wrote."""
