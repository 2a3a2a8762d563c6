"""The processes of one version: as many as its requests need within bounds, started again when they end, with growing pauses.

One thread keeps them: it starts each (a process lives no longer than the thread that started it), watches time and memory, and scales.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tilth.core import clock
from tilth.core.errors import Unavailable
from tilth.plane.executors.process import Launch, ModelHung, ModelProcess, ModelProcessDied, ModelProcessFailed
from tilth.plane.scaling import HEALTHY_S, Demand, restart_delay_s, wanted_processes

logger = logging.getLogger(__name__)

WATCH_S = 0.1
SOON_S = 2.0
"""A request waits for a process that is started again within this time; else it is refused."""


class NoProcess(Unavailable):
    """No process of the version can answer now; the next start is due later."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ProcessPool:
    """`predict` may be called by as many threads as there are to be processes. `waiting_since` is told by whoever queues for it."""

    def __init__(self, launch: Launch, minimum: int, maximum: int) -> None:
        self.waiting_since: float | None = None
        """core.clock.perf() at which the oldest request began to wait for a thread; None without any."""
        self.restarts = 0
        self.trouble = ""
        """Why a process ended last, empty if none did."""
        self._launch = launch
        self._bounds = (minimum, maximum)
        self._changed = threading.Condition()
        self._all: list[ModelProcess] = []
        self._ready: list[ModelProcess] = []
        self._starting = 0
        self._failures = 0
        self._due = 0.0
        self._closed = False
        self._engine = ""
        self._keeper = threading.Thread(target=self._keep, name=f"keeper-{launch.name}", daemon=True)

    def start(self) -> str:
        """The first process, loaded; returns its engine. Raises ModelProcessFailed."""
        first: list[ModelProcess | ModelProcessFailed] = []
        told = threading.Event()

        def begin(outcome: ModelProcess | ModelProcessFailed) -> None:
            first.append(outcome)
            told.set()

        self._begin: Callable[[ModelProcess | ModelProcessFailed], None] = begin
        self._keeper.start()
        told.wait()
        if isinstance(first[0], ModelProcessFailed):
            self.close()
            raise first[0]
        return first[0].engine

    @property
    def size(self) -> int:
        """Processes that answer."""
        return len(self._all) - self._starting

    def processes(self) -> list[ModelProcess]:
        """Those that run or start."""
        with self._changed:
            return list(self._all)

    def memory_bytes(self) -> int:
        return sum(process.memory_bytes() for process in self.processes())

    def predict(self, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises ModelRaised, RequestRefused, ModelHung, ModelProcessDied, NoProcess."""
        process = self._take()
        try:
            return process.predict(arrays)
        except (ModelHung, ModelProcessDied):
            self._drop(process)
            raise
        finally:
            self._put(process)

    def close(self) -> None:
        """Ends all processes; predictions in flight fail."""
        with self._changed:
            self._closed = True
            processes, self._all, self._ready = self._all, [], []
            self._changed.notify_all()
        for process in processes:
            process.close()

    def _take(self) -> ModelProcess:
        end = clock.monotonic() + self._launch.predict_timeout_s
        with self._changed:
            while True:
                if self._ready:
                    # The one used last: the others get idle, and are let go.
                    return self._ready.pop()
                now = clock.monotonic()
                if self._closed or now >= end or (not self._all and self._due - now > SOON_S):
                    raise NoProcess(self._why_none(), max(1.0, self._due - now))
                self._changed.wait(min(end - now, 1.0))

    def _why_none(self) -> str:
        if self._closed:
            return f"version {self._launch.name} is being unloaded; ask again"
        why = f": the last one {self.trouble}" if self.trouble else ""
        return f"no process of version {self._launch.name} can answer now{why}; ask again"

    def _put(self, process: ModelProcess) -> None:
        """Unless it was dropped."""
        with self._changed:
            if process in self._all:
                self._ready.append(process)
                self._changed.notify_all()

    def _drop(self, process: ModelProcess) -> None:
        """A process that ended while it was used or waited."""
        reason = process.how_it_ended()
        with self._changed:
            if process not in self._all:
                return
            self._all.remove(process)
            if process in self._ready:
                self._ready.remove(process)
            self._ended(process, reason)
            self._changed.notify_all()
        process.close()
        logger.warning("a process of version %s %s; starting another", self._launch.name, reason)

    def _ended(self, process: ModelProcess, reason: str) -> None:
        self.trouble = reason
        self.restarts += 1
        now = clock.monotonic()
        self._failures = 1 if now - process.started >= HEALTHY_S else self._failures + 1
        self._due = now + restart_delay_s(self._failures)

    def _keep(self) -> None:
        self._spawn()
        while True:
            with self._changed:
                self._changed.wait(WATCH_S)
                if self._closed:
                    return
                processes, ready = list(self._all), list(self._ready)
            now = clock.monotonic()
            for process in processes:
                process.watch(now)
            for process in ready:
                if process.ended:
                    self._drop(process)
            self._scale(now)

    def _scale(self, now: float) -> None:
        waiting = self.waiting_since
        with self._changed:
            waited = 0.0 if waiting is None else clock.perf() - waiting
            # Those used longest ago stand first.
            idle = now - self._ready[0].idle_since if self._ready else 0.0
            count = len(self._all)
            wanted = wanted_processes(Demand(count, self._starting, waited, idle), *self._bounds)
            surplus = self._ready.pop(0) if wanted < count and self._ready else None
            if surplus is not None:
                self._all.remove(surplus)
        if surplus is not None:
            surplus.close()
        elif wanted > count and now >= self._due:
            self._spawn()

    def _spawn(self) -> None:
        """In the keeper's thread; loading goes on in another, so that the others are watched meanwhile."""
        try:
            process = ModelProcess(self._launch)
        except ModelProcessFailed as error:
            self._not_started(str(error))
            self._tell_first(error)
            return
        with self._changed:
            self._all.append(process)
            self._starting += 1
        threading.Thread(target=self._load, args=(process,), name=f"load-{self._launch.name}", daemon=True).start()

    def _load(self, process: ModelProcess) -> None:
        failure: ModelProcessFailed | None = None
        try:
            process.load()
        except ModelProcessFailed as error:
            failure = error
        with self._changed:
            self._starting -= 1
            closed = self._closed
            if failure is None and not closed:
                self._ready.append(process)
            elif process in self._all:
                self._all.remove(process)
            self._changed.notify_all()
        if failure is not None:
            self._not_started(str(failure))
        if failure is not None or closed:
            process.close()
        self._tell_first(failure or process)

    def _not_started(self, reason: str) -> None:
        with self._changed:
            self.trouble = reason
            self._failures += 1
            self._due = clock.monotonic() + restart_delay_s(self._failures)
            self._changed.notify_all()

    def _tell_first(self, outcome: ModelProcess | ModelProcessFailed) -> None:
        begin, self._begin = self._begin, _ignore
        begin(outcome)


def _ignore(outcome: ModelProcess | ModelProcessFailed) -> None:
    return None
