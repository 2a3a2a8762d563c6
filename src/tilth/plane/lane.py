"""The queue and the threads of one version, for what it predicts beside the event loop."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from tilth.core.errors import Unavailable
from tilth.plane.answers import DeadlineExceeded
from tilth.plane.executors import ProcessPool

T = TypeVar("T")

PREDICT_TIMEOUT_S = 30.0


class PredictionTooSlow(DeadlineExceeded):
    """The model took longer than the deployment's `predict_timeout_s`."""

    def __init__(self, key: str, timeout_s: float) -> None:
        super().__init__(f"version {key} gave no answer within {timeout_s:g} s")


class VersionStuck(Unavailable):
    """An earlier prediction of the version does not end; it answers again when that one does."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"version {key} hangs in an earlier prediction; ask again later, or deploy it with the setting process, "
            "which lets a model server end what hangs"
        )


class Lane(Generic[T]):
    """Belongs to the event loop. One thread; with a pool one for each process that there may be, most of which then only wait.

    running: jobs in the threads; overdue: those of them that were given up.
    """

    __slots__ = ("_most", "overdue", "pool", "running", "threads", "timeout_s", "waiting")

    def __init__(self, timeout_s: float = PREDICT_TIMEOUT_S, pool: ProcessPool | None = None, most_processes: int = 1) -> None:
        self.timeout_s = timeout_s
        self.pool = pool
        self.waiting: deque[T] = deque()
        self.running = 0
        self.overdue = 0
        self._most = most_processes
        # Threads are made when there is work for them, and end with this object.
        self.threads = self._new_threads()

    def let_threads_go(self) -> None:
        """Those that warmed the version up: of many models most are never asked. Before the event loop knows this lane."""
        self.threads.shutdown(wait=False)
        self.threads = self._new_threads()

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._most, thread_name_prefix="predictions")

    @property
    def has_room(self) -> bool:
        """Whether a job would run now and not wait: until then waiting requests become larger batches."""
        return self.running < (max(1, self.pool.size) if self.pool is not None else 1)

    @property
    def stuck(self) -> bool:
        return self.overdue > 0
