"""What every part of Tilth holds in its hands: a database that runs jobs."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from tilth.backends.sql.tx import DialectName, Tx
from tilth.backends.sql.work import Job, wait_blocking, wait_for

T = TypeVar("T")
STATEMENT_TIMEOUT_S = 30.0
"""A statement on PostgreSQL, or a whole read on SQLite, is ended after this long: one caller's question must not stop the others'."""

log = logging.getLogger("tilth.sql")


class Database(ABC):
    """Runs jobs, each in a transaction of its own, and answers a write only once it is durable.

    A job is a plain function of a Tx. It may run more than once and touches nothing but the Tx; nothing slow happens inside it.
    Jobs see each other's writes as if they had run one after the other, on both databases.
    `write` raises WriterBusy, DatabaseFull, DatabaseClosed, DatabaseUnreachable and, on PostgreSQL, WriteConflict: nothing was kept.
    """

    dialect: DialectName

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return cast(T, await wait_for(self._submit_write(fn, get_running_loop())))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Runs `fn` on one consistent snapshot; it cannot write. Raises ReadersBusy, StatementTooSlow, DatabaseClosed."""
        return cast(T, await wait_for(self._submit_read(fn, get_running_loop())))

    def write_blocking(self, fn: Callable[[Tx], T]) -> T:
        """As `write`, from a thread without an event loop. Never call it inside a job: it would wait for itself."""
        self._refuse_own_threads()
        return cast(T, wait_blocking(self._submit_write(fn, None)))

    def read_blocking(self, fn: Callable[[Tx], T]) -> T:
        self._refuse_own_threads()
        return cast(T, wait_blocking(self._submit_read(fn, None)))

    def listen(self, topic: str, wake: Callable[[], None]) -> None:
        """Calls `wake` after each commit of a job of this process that announced `topic`. It must return at once."""
        self._listeners.setdefault(topic, []).append(wake)

    @property
    @abstractmethod
    def waiting_writes(self) -> int:
        """Writes that wait for their turn."""

    @abstractmethod
    def close(self) -> None:
        """Ends what was accepted, refuses what comes after, closes the connections."""

    @abstractmethod
    def _submit_write(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job: ...

    @abstractmethod
    def _submit_read(self, fn: Callable[[Tx], Any], loop: AbstractEventLoop | None) -> Job: ...

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for wake in self._listeners.get(topic, ()):
                wake()

    @staticmethod
    def _refuse_own_threads() -> None:
        if threading.current_thread().name.startswith("tilth-sql"):
            raise RuntimeError("a database job asked for another job and would wait for itself: use the tx it was given")
