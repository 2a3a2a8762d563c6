"""The heart of the model server: requests in, logged answers out, whatever protocol carries them.

Hot path. Whatever became readable in one turn of the event loop is joined into one predict call per version. There is no timer, so a
lone request waits for nothing; under load the batches grow by themselves. One write(2) logs all answers of a turn before any is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError
from tilth.core.ids import new_id
from tilth.plane.admission import Admission, Headers, admit
from tilth.plane.answers import Answer, DeadlineExceeded, HeaderPairs, ModelFailed, QueueFull, refusal
from tilth.plane.forms import read_form
from tilth.plane.inputs import NO_ROWS, Inputs, Results, count_of, joined, likeness_of, rows_of
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.serving import EMPTY, LoadedVersion, ServedDeployment, ServingState
from tilth.wire import predictions
from tilth.wire.predictions import PredictionFrame

logger = logging.getLogger(__name__)

BATCH_ROWS = 256
"""Rows in one predict call on the event loop: above, other callers would wait too long for the loop."""
LARGE_BODY_BYTES = 128 << 10
MAX_LARGE_PENDING = 8
"""Large requests of one deployment in the large lane at once; each may hold its body and some 10 times that in objects."""

Reply = Callable[[Answer], None]


class _Ask:
    """One admitted request on its way."""

    __slots__ = (
        "answered",
        "arrived",
        "body",
        "deadline",
        "group",
        "id",
        "inputs",
        "outcome",
        "reply",
        "results",
        "rows",
        "served",
        "slip",
        "version",
    )

    def __init__(self, slip: Admission, served: ServedDeployment, body: bytes, reply: Reply) -> None:
        self.slip = slip
        self.served = served
        self.body = body
        self.reply = reply
        self.arrived = clock.perf()
        self.deadline = None if slip.timeout_s is None else self.arrived + slip.timeout_s
        self.id = new_id()
        self.version: LoadedVersion = served.routes.only or served.routes.choose(
            slip.route_key or slip.request_id.encode() or self.id.encode()
        )
        self.inputs: Inputs = NO_ROWS
        self.rows = 0
        self.group: tuple[LoadedVersion, Hashable] = (self.version, None)
        self.results: Results = NO_ROWS
        self.outcome: bytes = b""
        self.answered = False

    def take(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.rows = count_of(inputs)
        self.group = (self.version, likeness_of(inputs))

    def answer_with(self, results: Results) -> None:
        """Makes the outcome. Raises what the model's own odd values raise."""
        self.results = results
        self.outcome = _outcome(self, results)

    def past_deadline(self) -> bool:
        return self.deadline is not None and clock.perf() > self.deadline


class Core:
    """Belongs to one event loop. `state` is replaced as a whole by the follower of the control process."""

    def __init__(self, log: PredictionLog) -> None:
        self.state: ServingState = EMPTY
        self.draining = False
        self.in_flight = 0
        self._log = log
        self._queue: list[_Ask] = []
        self._scheduled = False
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-requests")

    def admit(self, method: str, target: bytes, headers: Headers) -> Admission | Answer:
        """The answer, if none of the body is needed for it. Never raises a TilthError."""
        try:
            return admit(self.state, method, target, headers, now=clock.now(), draining=self.draining)
        except TilthError as error:
            return refusal(error)

    def submit(self, slip: Admission, body: bytes, reply: Reply) -> None:
        """Predicts; `reply` is called once, later or at once, on this loop."""
        # The deployment may have moved on while the body was on its way.
        served = self.state.served.get(slip.served.spec.id, slip.served)
        ask = _Ask(slip, served, body, reply)
        served.tally.requests += 1
        self.in_flight += 1
        if len(body) > LARGE_BODY_BYTES:
            self._enter_large_lane(ask)
            return
        try:
            ask.take(ask.version.encoder.encode(read_form(body)))
        except Invalid as error:
            self._refuse(ask, error)
            return
        if ask.rows > BATCH_ROWS:
            self._enter_large_lane(ask)
        else:
            self._enqueue(ask)

    def close(self) -> None:
        self._large.shutdown(wait=False, cancel_futures=True)

    def _enqueue(self, ask: _Ask) -> None:
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
        """One batch per version and shape of its arrays; what does not fit waits for the next turn, so that sockets and health checks
        get theirs between."""
        self._scheduled = False
        queue, self._queue = self._queue, []
        batches: dict[tuple[LoadedVersion, Hashable], list[_Ask]] = {}
        taken: dict[tuple[LoadedVersion, Hashable], int] = {}
        now = clock.perf()
        for ask in queue:
            rows = taken.get(ask.group, 0) + ask.rows
            if rows > BATCH_ROWS and ask.group in batches:
                self._queue.append(ask)
                continue
            ask.served.tally.queued_rows -= ask.rows
            if ask.deadline is not None and now > ask.deadline:
                self._refuse(ask, _late())
                continue
            taken[ask.group] = rows
            batches.setdefault(ask.group, []).append(ask)
        done: list[_Ask] = []
        for (version, _), asks in batches.items():
            done += self._predict(version, asks)
        if done:
            self._finish(done)
        if self._queue:
            self._schedule()

    def _predict(self, version: LoadedVersion, asks: Sequence[_Ask]) -> Iterable[_Ask]:
        """Those that have an outcome; the others are refused."""
        try:
            if len(asks) == 1:
                asks[0].answer_with(version.predict(asks[0].inputs))
                return asks
            outputs = version.predict(joined([ask.inputs for ask in asks]))
            start = 0
            for ask in asks:
                end = start + ask.rows
                ask.answer_with(rows_of(outputs, start, end))
                start = end
        except Exception as error:  # noqa: BLE001 the model is the user's code: it may raise anything
            if len(asks) == 1:
                self._refuse(asks[0], _failed(asks[0], error))
                return ()
            # One bad request must not fail its neighbours.
            return [done for ask in asks for done in self._predict(version, [ask])]
        return asks

    def _enter_large_lane(self, ask: _Ask) -> None:
        tally = ask.served.tally
        if tally.large_pending >= MAX_LARGE_PENDING:
            self._refuse(ask, QueueFull(f"{tally.large_pending} large requests wait already; send fewer at once"))
            return
        tally.large_pending += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._large, _predict_large, ask)
        future.add_done_callback(lambda finished: self._leave_large_lane(ask, finished))
        if ask.deadline is not None:
            loop.call_later(ask.deadline - clock.perf(), self._expire, ask)

    def _expire(self, ask: _Ask) -> None:
        if not ask.answered:
            self._refuse(ask, _late())

    def _leave_large_lane(self, ask: _Ask, finished: asyncio.Future[None]) -> None:
        ask.served.tally.large_pending -= 1
        if finished.cancelled() or ask.answered:
            return
        error = finished.exception()
        if error is None and ask.past_deadline():
            self._refuse(ask, _late())
        elif error is None:
            self._finish([ask])
        elif isinstance(error, Invalid):
            self._refuse(ask, error)
        else:
            self._refuse(ask, _failed(ask, error))

    def _finish(self, done: Sequence[_Ask]) -> None:
        """Logs, then answers: an answer that was sent is in the log, whatever happens to this process."""
        moment = clock.now()
        failure: TilthError | None = None
        try:
            sync = any(ask.served.spec.log_sync == "each" for ask in done)
            self._log.write([_frame(ask, moment) for ask in done], sync=sync)
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
            tally.of(ask.version.key).note(ask.results, ask.rows)
            self._reply(ask, Answer(200, ask.outcome, _headers(ask)))

    def _refuse(self, ask: _Ask, error: TilthError) -> None:
        ask.served.tally.errors += 1
        request_id = ask.slip.request_id
        self._reply(ask, refusal(error, ((b"x-request-id", request_id.encode()),) if request_id else ()))

    def _reply(self, ask: _Ask, answer: Answer) -> None:
        ask.answered = True
        self.in_flight -= 1
        now = clock.perf()
        tally = ask.served.tally
        tally.of(ask.version.key).answered(answer.status, tally.observe(now - ask.arrived, now))
        ask.reply(answer)


def _predict_large(ask: _Ask) -> None:
    """In the large lane's thread, in pieces: engines that hold the interpreter let the event loop in between them."""
    if ask.past_deadline():
        return
    if not ask.rows:
        ask.take(ask.version.encoder.encode(read_form(ask.body)))
    pieces = []
    for start in range(0, max(1, ask.rows), BATCH_ROWS):
        if ask.past_deadline():
            return
        pieces.append(ask.version.predict(rows_of(ask.inputs, start, start + BATCH_ROWS)))
    ask.answer_with(joined(pieces))


def _outcome(ask: _Ask, outputs: Results) -> bytes:
    """The body of the answer."""
    version = ask.version
    return msgspec.json.encode(
        {
            "predictions": version.listed(outputs),
            "prediction_id": ask.id,
            "model": version.model,
            "version": version.version,
        }
    )


def _headers(ask: _Ask) -> HeaderPairs:
    headers: HeaderPairs = (
        (b"x-prediction-id", ask.id.encode()),
        (b"x-model-version", ask.version.version.encode()),
        (b"x-tilth-engine", ask.version.engine_header),
    )
    if ask.slip.request_id:
        headers += ((b"x-request-id", ask.slip.request_id.encode()),)
    return headers


def _frame(ask: _Ask, moment: clock.Millis) -> bytes:
    slip = ask.slip
    return predictions.encode(
        PredictionFrame(
            prediction_id=ask.id,
            moment=moment,
            deployment_id=ask.served.spec.id,
            version=ask.version.key,
            content_type=slip.content_type,
            request_id=slip.request_id,
            body=ask.body,
            answer=ask.outcome,
            rows=ask.rows,
            latency_us=round((clock.perf() - ask.arrived) * 1e6),
            route_key=slip.route_key.decode(errors="replace"),
        )
    )


def _failed(ask: _Ask, error: BaseException) -> ModelFailed:
    logger.warning("version %s failed on request %s", ask.version.key, ask.id, exc_info=error)
    return ModelFailed(
        f"version {ask.version.key} failed on this request: {type(error).__name__}: {str(error)[:300]}; "
        f"the worker's log has the traceback under {ask.id}"
    )


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("the answer would have come after the deadline in x-timeout-ms; allow more time or send fewer rows")
