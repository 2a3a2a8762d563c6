"""Sends what a run logs from a thread of its own, so that training never waits for the network.

Nothing is lost silently: batches are repeated until the server acknowledges them (it knows a repeated one by writer and number), a full
queue makes the caller wait, what the server refuses for good is raised by the next call, and what cannot be sent goes to a journal on disk.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import TilthError, Unavailable
from tilth.core.ids import new_id
from tilth.sdk.delivery import deliver_apart
from tilth.sdk.errors import NotEverythingSent
from tilth.sdk.http import Http
from tilth.sdk.spill import Spill
from tilth.wire.tracking import MAX_INPUTS, MAX_METRICS, MAX_PARAMS, MAX_TAGS, DatasetInput, LogBatch, MetricPoint

FLUSH_S = 0.3
FLUSH_ITEMS = 500
MAX_WAITING = 50_000
HEARTBEAT_S = 10.0
MAX_PAUSE_S = 10.0
SAMPLE_S = 5.0

Job = Callable[[], None]
Sample = Callable[[], list[MetricPoint]]


class Sender:
    """path: of the run on the server. spill: where values go while the server is away. sample: asked for system metrics.

    beats: whether to send heartbeats.
    """

    def __init__(self, http: Http, path: str, spill: Spill, sample: Sample | None = None, *, beats: bool = True) -> None:
        self._beats = beats
        self._http, self._path, self._spill, self._sample = http, path, spill, sample
        self._writer = spill.writer
        self._reset()
        _senders.add(self)
        self._ensure_thread()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._metrics: deque[MetricPoint] = deque()
        self._params: dict[str, str] = {}
        self._tags: dict[str, str | None] = {}
        self._inputs: deque[DatasetInput] = deque()
        self._jobs: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._busy = self._hurry = self._closed = False
        self._deadline: float | None = None
        self._refused: list[TilthError] = []
        self._last_trouble = ""
        self._number = self._under_way = 0

    # What the run calls

    def add(
        self,
        *,
        metrics: list[MetricPoint] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str | None] | None = None,
        dataset: DatasetInput | None = None,
    ) -> None:
        """Queues values; waits while the queue is full. Raises what the server refused since the last call."""
        self.raise_refusal()
        with self._changed:
            while len(self._metrics) >= MAX_WAITING and not self._closed:
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait(1.0)
            self._metrics.extend(metrics or ())
            self._params.update(params or {})
            self._tags.update(tags or {})
            if dataset is not None:
                self._inputs.append(dataset)
            if self._waiting >= FLUSH_ITEMS:
                self._changed.notify_all()
        self._ensure_thread()

    def later(self, job: Job) -> None:
        """Runs `job` on the sending thread, after what waits already."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
        self._ensure_thread()

    def flush(self, timeout_s: float) -> None:
        """Returns when everything is acknowledged, refused, or on disk in the journal. Raises NotEverythingSent."""
        deadline = monotonic() + timeout_s
        with self._changed:
            while not self._idle:
                self._hurry = True
                self._changed.notify_all()
                left = deadline - monotonic()
                if left <= 0:
                    raise NotEverythingSent(self._waiting, self._last_trouble or "the server is slow")
                self._changed.wait(min(left, 1.0))
        self._spill.sync()

    def close(self, timeout_s: float) -> None:
        """Sends the rest, or writes it to the journal, and ends the thread. Raises NotEverythingSent; refusals stay for `raise_refusal`."""
        with self._changed:
            self._closed, self._deadline = True, monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s + 5)
        _senders.discard(self)
        if not self._idle:
            raise NotEverythingSent(self._waiting, self._last_trouble or "the server is slow")

    def raise_refusal(self) -> None:
        if self._refused:
            raise self._refused.pop(0)

    # The thread

    @property
    def _waiting(self) -> int:
        queued = len(self._metrics) + len(self._params) + len(self._tags) + len(self._inputs) + len(self._jobs)
        return queued + self._under_way

    @property
    def _idle(self) -> bool:
        return not self._busy and self._waiting == 0

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._loop, name="tilth-sender", daemon=True)
            self._thread.start()
            if self in _in_child and "multiprocessing.util" in sys.modules:
                # multiprocessing ends its children without atexit, but runs its own finalizers.
                sys.modules["multiprocessing.util"].Finalize(self, self.flush, args=(30.0,), exitpriority=10)

    def _loop(self) -> None:
        forked = self in _in_child
        next_beat = monotonic()
        next_sample = monotonic() + 1.0
        while True:
            with self._changed:
                if self._idle:
                    self._hurry = False
                    self._changed.notify_all()
                    if self._closed:
                        break
                if not (self._hurry or self._closed or self._waiting >= FLUSH_ITEMS):
                    self._changed.wait(FLUSH_S)
            if self._beats and not forked and self._spill.sends_at_once and monotonic() >= next_beat and not self._overdue():
                next_beat = monotonic() + HEARTBEAT_S
                self._beat()
            if not forked and self._sample is not None and not self._closed and monotonic() >= next_sample:
                next_sample = monotonic() + SAMPLE_S
                self._metrics.extend(self._sample())
            try:
                self._send_waiting()
            except OSError as error:
                # The journal cannot be written: what waits is counted as not sent at the end.
                self._last_trouble = f"the journal in {self._spill.root} cannot be written: {error}"
                if self._overdue():
                    return
                with self._changed:
                    self._changed.wait(1.0)
            self._catch_up()
        if self._spill.is_open:
            self._catch_up(at_once=True)

    def _catch_up(self, at_once: bool = False) -> None:
        """Sends what the journal holds, once the server is back."""
        try:
            self._spill.catch_up(self._overdue, at_once=at_once)
        except Unavailable as trouble:
            self._last_trouble = str(trouble)
        except TilthError as refusal:
            self._refuse(refusal)
        for refused in self._spill.take_refused():
            self._refuse(refused)

    def _send_waiting(self) -> None:
        with self._changed:
            batch, jobs = self._taken(), list(self._jobs)
            self._busy = batch is not None or bool(jobs)
            self._under_way = _size(batch) if batch is not None else 0
        try:
            if batch is not None:
                self._deliver(batch)
                self._under_way = 0
            for job in jobs:
                self._attempt(job)
                with self._changed:
                    self._jobs.popleft()
        finally:
            with self._changed:
                self._busy, self._under_way = False, 0
                self._changed.notify_all()

    def _taken(self) -> LogBatch | None:
        metrics = [self._metrics.popleft() for _ in range(min(len(self._metrics), MAX_METRICS))]
        params = {key: self._params.pop(key) for key in list(islice(self._params, MAX_PARAMS))}
        tags = {key: self._tags.pop(key) for key in list(islice(self._tags, MAX_TAGS))}
        inputs = [self._inputs.popleft() for _ in range(min(len(self._inputs), MAX_INPUTS))]
        if not (metrics or params or tags or inputs):
            return None
        return LogBatch(metrics=metrics, params=params, tags=tags, inputs=inputs)

    def _deliver(self, batch: LogBatch) -> None:
        """Sends a batch under a number of its own, or writes it to the journal."""
        self._number += 1
        numbered = msgspec.structs.replace(batch, writer=self._writer, number=self._number)
        try:
            if not self._spill.add(numbered):
                deliver_apart(self._send_or_keep, numbered, self._refuse)
        except TilthError as refusal:
            self._refuse(refusal)
        except OSError:
            self._put_back(batch)
            raise

    def _send_or_keep(self, batch: LogBatch) -> None:
        content = msgspec.json.encode(batch)
        if self._spill.add(batch) or self._persist(lambda: self._http.send_once("POST", f"{self._path}/log", content)):
            return
        self._spill.add_tried(batch)

    def _put_back(self, batch: LogBatch) -> None:
        """The journal could not take it."""
        with self._changed:
            self._metrics.extendleft(reversed(batch.metrics))
            self._params = {**batch.params, **self._params}
            self._tags = {**batch.tags, **self._tags}
            self._inputs.extendleft(reversed(batch.inputs))

    def _attempt(self, job: Job) -> None:
        try:
            job()
        except TilthError as refusal:
            self._refuse(refusal)

    def _persist(self, send: Callable[[], object]) -> bool:
        """Repeats `send` until it succeeds; False once the server has been away for too long. Raises what is refused for good."""
        pause, patience_s = 0.2, self._spill.patience_s
        given_up = None if patience_s is None else monotonic() + patience_s
        while True:
            try:
                send()
            except Unavailable as trouble:
                self._last_trouble = str(trouble)
            else:
                return True
            with self._changed:
                self._changed.wait(pause * random.uniform(0.5, 1.0))
            if self._overdue() or (given_up is not None and monotonic() > given_up):
                return False
            pause = min(MAX_PAUSE_S, pause * 2)

    def _overdue(self) -> bool:
        return self._deadline is not None and monotonic() > self._deadline

    def _beat(self) -> None:
        try:
            self._http.send_once("POST", f"{self._path}/heartbeat", timeout_s=HEARTBEAT_S)
        except Unavailable as trouble:
            self._last_trouble = str(trouble)
        except TilthError as refusal:
            self._refuse(refusal)

    def _refuse(self, refusal: TilthError) -> None:
        if all(str(refusal) != str(known) for known in self._refused):
            self._refused.append(refusal)


def _size(batch: LogBatch) -> int:
    return len(batch.metrics) + len(batch.params) + len(batch.tags) + len(batch.inputs)


_senders: weakref.WeakSet[Sender] = weakref.WeakSet()
_in_child: weakref.WeakSet[Sender] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked child (a data loader, a pool) inherits no threads: it gets a queue of its own, and leaves heartbeats to its parent."""
    for sender in list(_senders):
        sender._spill = sender._spill.for_child(new_id())
        sender._writer = sender._spill.writer
        sender._reset()
        _in_child.add(sender)


os.register_at_fork(after_in_child=_after_fork)
