"""One admitted request on its way, and how several of one version become one call of its model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError, Unavailable
from tilth.core.ids import new_id
from tilth.plane.admission import Admission
from tilth.plane.answers import Answer, DeadlineExceeded, ModelFailed
from tilth.plane.bodies import BodyReader
from tilth.plane.compression import deflate, inflate
from tilth.plane.counting import VersionCounts
from tilth.plane.executors import ModelRaised
from tilth.plane.inputs import NO_ROWS, Inputs, Results, count_of, joined, likeness_of, rows_of
from tilth.plane.protocols.port import LARGE_BYTES, NO_WISH, Answered, Wish, Written
from tilth.plane.serving import LoadedVersion, ServedDeployment

logger = logging.getLogger(__name__)

BATCH_ROWS = 256
"""Rows in one predict call: above, other callers would wait too long."""

MAX_REQUEST_ID = 200
"""Characters of an id in a request's body."""

NOTHING_WRITTEN = Written(b"")

Reply = Callable[[Answer], None]


class Ask:
    """large: its body or its rows are too many for a batch, so that it is decoded and predicted aside and in pieces.

    After `predict_together` or its last `predict_piece` it has either a failure or results and what is written of them.
    """

    __slots__ = (
        "answered",
        "arrived",
        "body",
        "deadline",
        "failure",
        "group",
        "id",
        "inputs",
        "large",
        "noted",
        "packed",
        "pieces",
        "reply",
        "request_id",
        "results",
        "rows",
        "served",
        "slip",
        "timer",
        "unpacked",
        "version",
        "wish",
        "written",
    )

    def __init__(self, slip: Admission, served: ServedDeployment, body: bytes, reply: Reply) -> None:
        """body: as it came, maybe compressed."""
        self.slip = slip
        self.served = served
        self.body = body
        self.reply = reply
        self.arrived = clock.perf()
        self.deadline = None if slip.timeout_s is None else self.arrived + slip.timeout_s
        self.id = new_id()
        self.request_id = slip.request_id
        self.version: LoadedVersion = (
            _named(slip.version, served, slip.served)
            if slip.version is not None
            else served.routes.only or served.routes.choose(slip.route_key or slip.request_id.encode() or self.id.encode())
        )
        self.inputs: Inputs = NO_ROWS
        self.rows = 0
        self.group: tuple[LoadedVersion, Hashable] = (self.version, None)
        self.results: Results = NO_ROWS
        self.wish = NO_WISH
        self.written = NOTHING_WRITTEN
        self.packed: bytes | None = None
        self.failure: TilthError | None = None
        self.answered = False
        self.timer: asyncio.TimerHandle | None = None
        self.large = False
        self.noted: VersionCounts | None = None
        self.pieces: list[Results] = []
        self.unpacked = False

    def unpack(self, limit: int) -> None:
        """What came compressed becomes what was meant. Raises BodyTooLarge above `limit` bytes, and InvalidBody."""
        if self.slip.coding is not None and not self.unpacked:
            self.body = inflate(self.body, self.slip.coding, limit)
            self.unpacked = True

    def decode(self) -> None:
        """Raises a kind of Invalid."""
        slip, version = self.slip, self.version
        if slip.coding is not None:
            self.unpack(slip.max_body_bytes)
        asked = slip.codec.read(self.body, slip.content, version.signature)
        self._hold(version.encoder.encode(asked.given), asked.wish, asked.id)

    def decode_beside(self, reader: BodyReader) -> None:
        """In a thread. Raises a kind of Invalid or Unavailable."""
        slip = self.slip
        if self.past_deadline():
            raise late()
        self.unpack(slip.max_body_bytes)
        if slip.codec.heavy(slip.content, len(self.body)):
            self._hold(*reader.read(slip.codec, self.body, slip.content, self.version.signature))
        else:
            self.decode()

    @property
    def unfinished(self) -> bool:
        """Of a large one: whether pieces of it are still to be predicted."""
        return self.large and self.failure is None and BATCH_ROWS * len(self.pieces) < max(1, self.rows)

    @property
    def exceeds_a_batch(self) -> bool:
        return len(self.body) > LARGE_BYTES or self.rows > BATCH_ROWS

    def _hold(self, inputs: Inputs, wish: Wish, id: str) -> None:
        self.inputs = inputs
        self.wish = wish
        if id and not self.slip.request_id:
            self.request_id = id[:MAX_REQUEST_ID]
        self.rows = count_of(inputs)
        if self.version.named:
            self.group = (self.version, likeness_of(inputs))

    def answer_with(self, results: Results) -> None:
        """Makes the answer. Raises what the model's own odd values raise, and Invalid for a wish that cannot be fulfilled."""
        self.results = results
        version, slip = self.version, self.slip
        self.written = slip.codec.write(
            Answered(self.id, self.served.spec.name, version.model, version.version, version.outputs, results, self.wish)
        )
        if slip.answer_coding is not None:
            self.packed = deflate(self.written.body, slip.answer_coding)

    def past_deadline(self) -> bool:
        return self.deadline is not None and clock.perf() > self.deadline


def predict_together(asks: Sequence[Ask]) -> None:
    """asks: decoded, of one group. Leaves each with an answer or a failure."""
    version = asks[0].version
    try:
        if len(asks) == 1:
            asks[0].answer_with(version.predict(asks[0].inputs))
            return
        outputs = version.predict(joined([ask.inputs for ask in asks]))
        start = 0
        for ask in asks:
            end = start + ask.rows
            ask.answer_with(rows_of(outputs, start, end))
            start = end
    except BaseException as error:  # noqa: BLE001 the model is the user's code: it may raise anything, SystemExit too
        if len(asks) == 1 or isinstance(error, Unavailable):
            # That the model's process is gone is nobody's row: asking again for each would only end the next one.
            for ask in asks:
                ask.failure = failed(ask, error)
            return
        # One bad request must not fail its neighbours.
        for ask in asks:
            predict_together([ask])


def predict_piece(ask: Ask) -> None:
    """The next piece of a large request, in a thread. Leaves it with an outcome, or `unfinished`."""
    try:
        if ask.past_deadline():
            raise late()
        if ask.inputs is NO_ROWS:
            ask.decode()
        start = BATCH_ROWS * len(ask.pieces)
        ask.pieces.append(ask.version.predict(rows_of(ask.inputs, start, start + BATCH_ROWS)))
        if not ask.unfinished:
            ask.answer_with(joined(ask.pieces))
            ask.noted = VersionCounts(0)
            ask.noted.note(ask.results, ask.rows)
    except Invalid as error:
        ask.failure = error
    except BaseException as error:  # noqa: BLE001 as above
        ask.failure = failed(ask, error)


def _named(number: int, *served: ServedDeployment) -> LoadedVersion:
    """What a request asked for by number, even if its deployment moved on meanwhile."""
    return next(version for each in served for version in each.versions if version.version == str(number))


def failed(ask: Ask, error: BaseException) -> TilthError:
    if isinstance(error, Unavailable | Invalid):
        return error
    logger.warning("version %s failed on request %s", ask.version.key, ask.id, exc_info=error)
    what = str(error) if isinstance(error, ModelRaised) else f"{type(error).__name__}: {error}"
    return ModelFailed(
        f"version {ask.version.key} failed on this request: {what[:300]}; the worker's log has the traceback under {ask.id}"
    )


def late() -> DeadlineExceeded:
    return DeadlineExceeded("the answer would have come after the deadline in x-timeout-ms; allow more time or send fewer rows")
