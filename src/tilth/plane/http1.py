"""HTTP/1.1 on a socket: asyncio.Protocol and httptools, no framework. Hot path.

Keep-alive and pipelining with answers in order; bounds on head, body, pipelined requests and on the time a client may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane.admission import HEADERS, Admission, Inquiry
from tilth.plane.answers import Answer, BodyTooLarge, HeadTooLarge, Malformed, RequestTimeout, refusal
from tilth.plane.batching import Core
from tilth.plane.repeats import Repeat, repeat_of

MAX_HEAD_BYTES = 32 << 10
MAX_HEADERS = 100
MAX_DISCARDED_BYTES = 1 << 20
"""Of a body that is refused by its head: up to this it is read and the connection lives on, above it is closed."""
MAX_PIPELINED = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take. receive_s: from the first byte of a request to its last; idle_s: between requests; send_s: while it
    does not read; linger_s: how long what follows a refusal is read away."""

    receive_s: float = 30.0
    idle_s: float = 75.0
    send_s: float = 30.0
    linger_s: float = 2.0


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


_KEPT = HEADERS | {b"content-length", b"transfer-encoding", b"expect"}


class _Slot:
    """The place of one answer in the order of the connection. bare: its head goes out alone, as HEAD asks."""

    __slots__ = ("answer", "bare", "keep_alive")

    def __init__(self, keep_alive: bool, answer: Answer | None = None, *, bare: bool = False) -> None:
        self.keep_alive = keep_alive
        self.answer = answer
        self.bare = bare


class Connection(asyncio.Protocol):
    """One client. `peers` is the set of all connections of the server; each removes itself at its end."""

    def __init__(self, core: Core, peers: set[Connection], patience: Patience = Patience()) -> None:
        self._core = core
        self._patience = patience
        self._peers = peers
        self._slots: deque[_Slot] = deque()
        self._since = clock.monotonic()
        self._receiving = False
        self._in_head = False
        self._closing = False
        self._half_closed = False
        self._write_paused_at: float | None = None
        self._transport: asyncio.Transport
        self._parser: httptools.HttpRequestParser
        self._method = ""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._head_count = 0
        self._unheard = 0
        """Bytes since the parser last handed out a header, a piece of a body or the end of a message."""
        self._body_bytes = 0
        self._verdict: Admission | Inquiry | Answer | None = None
        self._completed = 0
        self._keeps_alive = True
        self._repeat: Repeat | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._slots.clear()
        self._peers.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        fresh, before = not self._receiving, self._completed
        if fresh and self._repeat is not None and self._take_repeat(self._repeat, data):
            return
        self._unheard += len(data)
        try:
            self._feed(data)
        except Malformed as error:
            self._fail(error)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, TilthError):
                raise
            self._fail(error.__context__)
        except httptools.HttpParserError as error:
            self._fail(Malformed(f"this is not HTTP/1.1: {error}"))
        else:
            if self._unheard > MAX_HEAD_BYTES:
                # The parser hands out a header only when it is whole: an endless one, before the body or after it, is seen here.
                self._fail(_head_too_large())
            elif fresh and not self._receiving and self._completed == before + 1:
                self._remember(data)

    def _remember(self, data: bytes) -> None:
        """data: one whole request. The state is still the one by which it was judged: it changes between turns of the loop only."""
        verdict = self._verdict
        if isinstance(verdict, Admission) and self._keeps_alive and not self._closing:
            self._repeat = repeat_of(data, self._body_bytes, verdict, self._core.state, clock.monotonic())

    def _take_repeat(self, repeat: Repeat, data: bytes) -> bool:
        """Whether `data` is a whole request whose head is known. The parser stands between two messages and need not see it."""
        now = clock.monotonic()
        body = repeat.body_of(data, self._core.state, now)
        if body is None:
            return False
        self._since = now
        self._submit(repeat.verdict, body, keep_alive=True)
        return True

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                # A server may ignore the offer and answer in HTTP/1.1 (Java's client makes one by default), but the parser has
                # skipped the body. So a fresh one reads the same request again, without the offer.
                self._parser = httptools.HttpRequestParser(self)
                data = self._head_without_offer() + data[offer.args[0] :]

    def _head_without_offer(self) -> bytes:
        if self._method == "CONNECT":
            raise Malformed("this server is no proxy; send requests to it by path")
        lines = [b"%b %b HTTP/1.1" % (self._method.encode(), self._target)]
        lines += [b"%b: %b" % header for header in self._headers.items()]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def eof_received(self) -> bool:
        """True keeps our direction open: a client may close its own after the last request and still read the answers."""
        self._half_closed = True
        return bool(self._slots)

    def pause_writing(self) -> None:
        self._write_paused_at = clock.monotonic()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._write_paused_at = None
        self._read_on()

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._since = clock.monotonic()
        self._receiving = self._in_head = True
        self._method = ""
        self._target = b""
        self._headers = {}
        self._pieces = []
        self._head_bytes = self._head_count = self._body_bytes = self._unheard = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > MAX_HEAD_BYTES:
            raise _head_too_large()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unheard = 0
        if not self._in_head:
            return  # trailers
        self._head_count += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES or self._head_count > MAX_HEADERS:
            raise _head_too_large()
        name = name.lower()
        if name in _KEPT:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._method = self._parser.get_method().decode("ascii")
        if self._parser.should_upgrade():
            return
        self._verdict = verdict = self._core.admit(self._method, self._target, self._headers)
        if not isinstance(verdict, Answer):
            announced = self._headers.get(b"content-length", b"")
            if announced.isdigit() and int(announced) > verdict.max_body_bytes:
                raise _body_too_large(verdict.max_body_bytes)
            if self._headers.get(b"expect", b"").lower() == b"100-continue" and not self._slots:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self._unheard = 0
        self._body_bytes += len(piece)
        if isinstance(self._verdict, Admission | Inquiry):
            if self._body_bytes > self._verdict.max_body_bytes:
                raise _body_too_large(self._verdict.max_body_bytes)
            self._pieces.append(piece)
        elif self._body_bytes > MAX_DISCARDED_BYTES:
            assert self._verdict is not None
            self._end_with(self._verdict)

    def on_message_complete(self) -> None:
        self._unheard = 0
        if self._closing or self._parser.should_upgrade():
            return
        self._receiving = False
        self._completed += 1
        verdict = self._verdict
        assert verdict is not None
        self._keeps_alive = self._parser.should_keep_alive()
        if isinstance(verdict, Answer):
            self._answered(self._new_slot(self._keeps_alive, bare=self._method == "HEAD"), verdict)
            return
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._submit(verdict, body, keep_alive=self._keeps_alive)

    def _submit(self, verdict: Admission | Inquiry, body: bytes, *, keep_alive: bool) -> None:
        self._core.submit(verdict, body, partial(self._answered, self._new_slot(keep_alive)))

    def _new_slot(self, keep_alive: bool, *, bare: bool = False) -> _Slot:
        slot = _Slot(keep_alive, bare=bare)
        self._slots.append(slot)
        if len(self._slots) >= MAX_PIPELINED:
            self._transport.pause_reading()
        return slot

    # What the server calls.

    def check_time(self, now: float) -> None:
        """Ends what takes too long. now: monotonic seconds."""
        if self._write_paused_at is not None and now - self._write_paused_at > self._patience.send_s:
            self._transport.abort()
        elif self._closing and not self._slots and now - self._since > self._patience.linger_s:
            self._transport.close()
        elif self._receiving and now - self._since > self._patience.receive_s:
            self._fail(RequestTimeout(f"the request did not arrive within {self._patience.receive_s:g} s"))
        elif not self._receiving and not self._slots and now - self._since > self._patience.idle_s:
            self._transport.close()

    @property
    def idle(self) -> bool:
        return not self._slots and not self._receiving

    def close(self) -> None:
        self._transport.close()

    def abandon(self, error: TilthError) -> None:
        """Tells who waits, past an event loop that stands still for good; for the thread that watches it."""
        if self._slots and not self._transport.get_write_buffer_size():
            with contextlib.suppress(OSError):
                os.write(self._transport.get_extra_info("socket").fileno(), _rendered(refusal(error), False, self._slots[0].bare))

    def _answered(self, slot: _Slot, answer: Answer) -> None:
        slot.answer = answer
        if self._slots and self._slots[0] is slot:
            self._flush()

    def _flush(self) -> None:
        slots = self._slots
        was_full = len(slots) >= MAX_PIPELINED
        while slots and slots[0].answer is not None:
            slot = slots.popleft()
            assert slot.answer is not None
            keep_alive = slot.keep_alive and not (self._core.draining and not slots)
            self._transport.write(_rendered(slot.answer, keep_alive, slot.bare))
            if not keep_alive:
                self._leave()
                return
        if not self._receiving:
            self._since = clock.monotonic()
        if self._half_closed and not slots:
            self._transport.close()
        elif was_full:
            self._read_on()

    def _read_on(self) -> None:
        if len(self._slots) < MAX_PIPELINED and self._write_paused_at is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: TilthError) -> None:
        """Answers what came before, then this, and ends the connection: where the next request starts is not known any more."""
        verdict = self._verdict if self._receiving and not self._in_head else None
        self._end_with(verdict.codec.refuse(error) if isinstance(verdict, Admission | Inquiry) else refusal(error))

    def _end_with(self, answer: Answer) -> None:
        if self._closing:
            return
        self._closing = True
        self._receiving = self._in_head = False
        self._pieces = []
        self._slots.append(_Slot(False, answer, bare=self._method == "HEAD"))
        if len(self._slots) == 1:
            self._flush()

    def _leave(self) -> None:
        """After the last answer. A socket closed with unread bytes resets the connection and the client may lose the answer:
        so only our direction is closed, and the rest is read away for a moment."""
        self._closing = True
        self._slots.clear()
        self._since = clock.monotonic()
        if self._half_closed or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._read_on()


def _rendered(answer: Answer, keep_alive: bool, bare: bool) -> bytes:
    lines = [
        _STATUS_LINES[answer.status],
        b"content-type: %b\r\ncontent-length: %d\r\n" % (answer.content_type, len(answer.body)),
    ]
    lines += [b"%b: %b\r\n" % header for header in answer.headers]
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if not bare:
        lines.append(answer.body)
    return b"".join(lines)


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"the request line and headers are above {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers; send fewer")


def _body_too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is above {limit} bytes, the bound of this deployment; send the rows in several requests")
