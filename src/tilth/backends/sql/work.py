"""How a job travels from an event loop, or from a thread, to the thread that owns a connection, and its answer back."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from types import CoroutineType
from typing import Any, Protocol

from tilth.backends.sql.errors import DatabaseClosed
from tilth.backends.sql.tx import Tx
from tilth.core.clock import perf
from tilth.core.errors import TilthError

log = logging.getLogger("tilth.sql")

SLOW_JOB_S = 0.05


class Job:
    """A function to run inside a transaction, and where its answer goes."""

    __slots__ = ("error", "fn", "future", "loop", "value")

    def __init__(self, fn: Callable[[Tx], Any], loop: asyncio.AbstractEventLoop | None) -> None:
        self.fn = fn
        self.loop = loop
        self.future: asyncio.Future[Any] | Future[Any] = Future() if loop is None else loop.create_future()
        self.value: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        """On the job's own event loop, or from any thread for a blocking job."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


def call(job: Job, tx: Tx) -> Any:
    """Runs the job's function and says so when it holds the connection for too long."""
    started = perf()
    value = job.fn(tx)
    took = perf() - started
    if took > SLOW_JOB_S:
        log.warning("job %s held the database for %.0f ms; a job should end within 50 ms", job_name(job.fn), took * 1000)
    if type(value) is CoroutineType:
        value.close()
        raise TypeError(f"{job_name(job.fn)} is a coroutine function: a database job must be a plain function of tx")
    return value


def job_name(fn: Callable[..., Any]) -> str:
    return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', type(fn).__name__)}"


def answer_all(jobs: Iterable[Job]) -> None:
    """Answers every job: one wake-up per event loop, not per job, since each costs a write to the loop's pipe."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.answer()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, own in by_loop.items():
        try:
            loop.call_soon_threadsafe(_answer_each, own)
        except RuntimeError:
            # The loop was closed while its jobs ran: nobody waits for them any more.
            log.debug("%d answers came after their event loop was closed", len(own))


def _answer_each(jobs: list[Job]) -> None:
    for job in jobs:
        job.answer()


class Session(Protocol):
    """One connection, used by one thread. `run` never raises: it leaves value or error in the job."""

    def run(self, job: Job) -> None: ...
    def close(self) -> None: ...


class Workers:
    """Threads that each own one session and serve jobs from one bounded queue."""

    def __init__(self, name: str, sessions: Sequence[Session], max_waiting: int, busy: Callable[[int], TilthError]) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._max_waiting = max_waiting
        self._busy = busy
        self._closed = False
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, args=(session,), name=f"tilth-{name}-{index}", daemon=True)
            for index, session in enumerate(sessions)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[[Tx], Any], loop: asyncio.AbstractEventLoop | None) -> Job:
        job = Job(fn, loop)
        with self._lock:
            if self._closed:
                raise closed()
            waiting = self._queue.qsize()
            if waiting >= self._max_waiting:
                raise self._busy(waiting)
            self._queue.put(job)
        return job

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def close(self) -> None:
        """Ends the jobs that wait already, then the threads."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, session: Session) -> None:
        while (job := self._queue.get()) is not None:
            if not job.future.cancelled():
                session.run(job)
                answer_all((job,))
        session.close()


def closed() -> DatabaseClosed:
    return DatabaseClosed("the server is stopping and takes no more work: send the request again once it is back")


async def wait_for(job: Job) -> Any:
    future = job.future
    assert isinstance(future, Awaitable)
    return await future


def wait_blocking(job: Job) -> Any:
    future = job.future
    assert isinstance(future, Future)
    return future.result()
