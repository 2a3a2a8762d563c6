"""The heart of the model server: requests in, logged answers out, whatever protocol carries them.

Hot path. Whatever became readable in one turn of the event loop is joined into one predict call per version. There is no timer, so a
lone request waits for nothing; under load the batches grow by themselves. One write(2) logs all answers of a turn before any is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError
from tilth.plane.admission import Admission, Headers, Inquiry, admit, codec_at
from tilth.plane.answers import Answer, BodyTooLarge, HeaderPairs, QueueFull
from tilth.plane.asks import BATCH_ROWS, Ask, Reply, failed, late, predict_together
from tilth.plane.bodies import BodyReader
from tilth.plane.bodies.reader import MOST_PROCESSES
from tilth.plane.compression import inflate
from tilth.plane.lanes import Lanes
from tilth.plane.protocols.port import LARGE_BYTES
from tilth.plane.serving import LoadedVersion
from tilth.plane.state import EMPTY, ServingState
from tilth.wire import predictions
from tilth.wire.predictions import PredictionFrame

logger = logging.getLogger(__name__)

MAX_LARGE_PENDING = 8
"""Large requests of one deployment at once; each may hold its body and some 10 times that in objects."""


TOO_LONG_S = 0.02
STRIKES = 3
"""Batches in a row that took longer on the event loop, after which a version leaves it: warming up did not show how slow it can be."""


class Log(Protocol):
    """Where predictions are kept before they are answered: see PredictionLog.write."""

    def write(self, frames: Sequence[bytes], *, sync: bool = False) -> None: ...


class Core:
    """Belongs to one event loop. `state` is replaced as a whole by the follower of the control process."""

    def __init__(self, log: Log) -> None:
        self.state: ServingState = EMPTY
        self.draining = False
        self.in_flight = 0
        self.at_work: LoadedVersion | None = None
        """Whose model has the loop just now, since `at_work_since` (core.clock.perf()); read by the watchdog's thread."""
        self.at_work_since = 0.0
        self._log = log
        self._queue: list[Ask] = []
        self._scheduled = False
        self._lanes = Lanes(self._settle)
        self._told_aside = 0
        self._tellers = ThreadPoolExecutor(MAX_LARGE_PENDING, thread_name_prefix="aside")
        self._reader = BodyReader()
        self._reading = ThreadPoolExecutor(MOST_PROCESSES, thread_name_prefix="bodies")

    def admit(self, method: str, target: bytes, headers: Headers) -> Admission | Inquiry | Answer:
        """The answer, if none of the body is needed for it. Never raises a TilthError."""
        try:
            return admit(self.state, method, target, headers, now=clock.now(), draining=self.draining)
        except TilthError as error:
            return codec_at(self.state, target).refuse(error)

    def submit(self, slip: Admission | Inquiry, body: bytes, reply: Reply) -> None:
        """Predicts; `reply` is called once, later or at once, on this loop."""
        if isinstance(slip, Inquiry):
            if slip.aside:
                self._tell_aside(slip, body, reply)
            else:
                reply(_told(slip, body))
            return
        # The deployment may have moved on while the body was on its way.
        served = self.state.served.get(slip.served.spec.id, slip.served)
        ask = Ask(slip, served, body, reply)
        served.tally.requests += 1
        self.in_flight += 1
        try:
            if (slip.coding is not None and not _unpacks_quickly(ask)) or slip.codec.heavy(slip.content, len(ask.body)):
                self._read_beside(ask)
                return
            if len(ask.body) <= LARGE_BYTES:
                ask.decode()
        except Invalid as error:
            self._refuse(ask, error)
            return
        if ask.exceeds_a_batch:
            self._set_aside(ask)
        else:
            self._enqueue(ask)

    def _read_beside(self, ask: Ask) -> None:
        if not self._takes_large(ask):
            return

        def read(finished: asyncio.Future[None]) -> None:
            if finished.cancelled():
                return
            error = finished.exception()
            if error is None and ask.exceeds_a_batch:
                self._lanes.enter(ask)
                return
            ask.served.tally.large_pending -= 1
            ask.large = False
            if error is None:
                self._enqueue(ask)
            else:
                self._refuse(ask, failed(ask, error))

        asyncio.get_running_loop().run_in_executor(self._reading, ask.decode_beside, self._reader).add_done_callback(read)

    def _tell_aside(self, inquiry: Inquiry, body: bytes, reply: Reply) -> None:
        if self._told_aside >= MAX_LARGE_PENDING:
            reply(inquiry.codec.refuse(QueueFull(f"{self._told_aside} such requests wait already; send fewer at once")))
            return
        self._told_aside += 1
        self.in_flight += 1

        def told(finished: asyncio.Future[Answer]) -> None:
            self._told_aside -= 1
            self.in_flight -= 1
            if not finished.cancelled():
                reply(finished.result())

        asyncio.get_running_loop().run_in_executor(self._tellers, _told, inquiry, body).add_done_callback(told)

    def _enqueue(self, ask: Ask) -> None:
        tally = ask.served.tally
        if tally.queued_rows and tally.queued_rows + ask.rows > ask.served.spec.max_queue_rows:
            self._refuse(ask, QueueFull(f"{tally.queued_rows} rows wait already; send less at once or add model servers"))
            return
        tally.queued_rows += ask.rows
        self._queue.append(ask)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        done: list[Ask] = []
        for (version, _), asks in self._next_batches().items():
            if version.turn.acquire(blocking=False):
                self._predict(version, asks)
                done += asks
                continue
            # A thread has the model just now, for a large request or for reasons.
            for ask in asks:
                ask.served.tally.queued_rows += ask.rows
                self._lanes.enter(ask)
        self._settle(done)
        if self._queue:
            self._schedule()

    def _next_batches(self) -> dict[tuple[LoadedVersion, Hashable], list[Ask]]:
        """One per version and shape of its arrays; what does not fit waits for the next turn, so that sockets and health checks get theirs
        between."""
        queue, self._queue = self._queue, []
        batches: dict[tuple[LoadedVersion, Hashable], list[Ask]] = {}
        taken: dict[tuple[LoadedVersion, Hashable], int] = {}
        now = clock.perf()
        for ask in queue:
            if not ask.version.inline:
                self._lanes.enter(ask)
                continue
            rows = taken.get(ask.group, 0) + ask.rows
            if rows > BATCH_ROWS and ask.group in batches:
                self._queue.append(ask)
                continue
            ask.served.tally.queued_rows -= ask.rows
            if ask.deadline is not None and now > ask.deadline:
                self._refuse(ask, late())
                continue
            taken[ask.group] = rows
            batches.setdefault(ask.group, []).append(ask)
        return batches

    def _predict(self, version: LoadedVersion, asks: Sequence[Ask]) -> None:
        """Gives back the version's turn, which the caller took."""
        self.at_work_since = clock.perf()
        self.at_work = version
        predict_together(asks)
        self.at_work = None
        version.turn.release()
        if clock.perf() - self.at_work_since > TOO_LONG_S:
            _warn_of(version)
        elif version.strikes:
            version.strikes = 0

    def _set_aside(self, ask: Ask) -> None:
        if self._takes_large(ask):
            self._lanes.enter(ask)

    def _takes_large(self, ask: Ask) -> bool:
        tally = ask.served.tally
        if tally.large_pending >= MAX_LARGE_PENDING:
            self._refuse(ask, QueueFull(f"{tally.large_pending} large requests wait already; send fewer at once"))
            return False
        tally.large_pending += 1
        ask.large = True
        return True

    def _settle(self, asks: Sequence[Ask]) -> None:
        done = [ask for ask in asks if ask.failure is None and not ask.answered]
        for ask in asks:
            if ask.failure is not None and not ask.answered:
                self._refuse(ask, ask.failure)
        if done:
            self._finish(done)

    def _finish(self, done: Sequence[Ask]) -> None:
        """Logs, then answers: an answer that was sent is in the log, whatever happens to this process."""
        moment = clock.now()
        failure: TilthError | None = None
        try:
            sync = any(ask.served.spec.log_sync == "each" for ask in done)
            frames: list[bytes] = []
            for ask in done:
                if ask.large:
                    frames += predictions.encode_uncopied(_frame(ask, moment))
                else:
                    frames.append(predictions.encode(_frame(ask, moment)))
            self._log.write(frames, sync=sync)
        except TilthError as error:
            failure = error
        for ask in done:
            tally = ask.served.tally
            if failure is not None:
                tally.log_failures += 1
                if ask.served.spec.on_log_failure == "refuse":
                    self._refuse(ask, failure)
                    continue
            tally.rows += ask.rows
            counts = tally.of(ask.version.key)
            if ask.noted is None:
                counts.note(ask.results, ask.rows)
            else:
                counts.take_in(ask.noted)
            body = ask.written.body if ask.packed is None else ask.packed
            self._reply(ask, Answer(200, body, _headers(ask), ask.written.content_type))

    def _refuse(self, ask: Ask, error: TilthError) -> None:
        request_id = ask.slip.request_id
        answer = ask.slip.codec.refuse(error, ((b"x-request-id", request_id.encode()),) if request_id else ())
        if answer.status >= 500:
            ask.served.tally.errors += 1
        else:
            ask.served.tally.refused += 1
        self._reply(ask, answer)

    def _reply(self, ask: Ask, answer: Answer) -> None:
        ask.answered = True
        if ask.timer is not None:
            ask.timer.cancel()
        self.in_flight -= 1
        now = clock.perf()
        tally = ask.served.tally
        tally.of(ask.version.key).answered(answer.status, tally.observe(now - ask.arrived, now))
        ask.reply(answer)


def _warn_of(version: LoadedVersion) -> None:
    version.strikes += 1
    if version.strikes >= STRIKES:
        version.inline = False
        logger.warning("version %s takes long for the event loop; from now on it predicts beside it", version.key)


def _headers(ask: Ask) -> HeaderPairs:
    headers: HeaderPairs = (
        (b"x-prediction-id", ask.id.encode()),
        (b"x-model-version", ask.version.version.encode()),
        (b"x-tilth-engine", ask.version.engine_header),
    )
    if ask.slip.request_id:
        headers += ((b"x-request-id", ask.slip.request_id.encode()),)
    if ask.written.header_bytes:
        headers += ((b"inference-header-content-length", b"%d" % ask.written.header_bytes),)
    if ask.packed is not None:
        headers += ((b"content-encoding", (ask.slip.answer_coding or "").encode()),)
    return headers


def _told(inquiry: Inquiry, body: bytes) -> Answer:
    try:
        return inquiry.tell(body if inquiry.coding is None else inflate(body, inquiry.coding, inquiry.max_body_bytes))
    except TilthError as error:
        return inquiry.codec.refuse(error)


def _unpacks_quickly(ask: Ask) -> bool:
    """Whether the body is one for the event loop, once it is unpacked. Raises InvalidBody."""
    limit = ask.slip.max_body_bytes
    try:
        ask.unpack(min(limit, LARGE_BYTES))
    except BodyTooLarge:
        if limit <= LARGE_BYTES:
            raise
        return False
    return True


def _frame(ask: Ask, moment: clock.Millis) -> PredictionFrame:
    slip = ask.slip
    return PredictionFrame(
        prediction_id=ask.id,
        moment=moment,
        deployment_id=ask.served.spec.id,
        version=ask.version.key,
        content_type=slip.content.type,
        request_id=ask.request_id,
        body=ask.body,
        answer=ask.written.body,
        rows=ask.rows,
        protocol=slip.codec.name,
        header_bytes=slip.content.header_bytes or 0,
        answer_header_bytes=ask.written.header_bytes,
        latency_us=round((clock.perf() - ask.arrived) * 1e6),
        route_key=slip.route_key.decode(errors="replace"),
    )
