"""What one client may cost the control process before anybody knows who it is: bytes of a request's head, and time.

uvicorn bounds neither: 10 million header lines took 1.3 GB of memory, and a client that never ends its head kept its connection for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tilth.core.clock import monotonic

MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 200
_TOO_LARGE = (
    b'{"error":{"kind":"too_large","code":"head_too_large","message":"the request line and headers are above '
    b'%d bytes or %d headers; send fewer"}}' % (MAX_HEAD_BYTES, MAX_HEADERS)
)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. head: from the first byte of a request to the end of its headers; first: until a new connection says anything;
    silence: while a body is on its way and nothing comes; reading: while the client takes nothing of its answer.
    """

    head: float = 30.0
    first: float = 75.0
    silence: float = 60.0
    reading: float = 60.0


class HeadTooLarge(Exception):
    """Raised through the parser, which ends the connection."""


class BoundedConnection(HttpToolsProtocol):
    """One client of the control process. `check_time` is called every second by the server."""

    patience = Patience()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seen = self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._unheard = 0
        """Bytes since the parser last handed out a header, a piece of a body or the end of a message."""
        self._since = monotonic()
        self._unread_since: float | None = None

    def data_received(self, data: bytes) -> None:
        self._since = self._since if self._in_head else monotonic()
        self._unheard += len(data)
        super().data_received(data)
        if self._unheard > MAX_HEAD_BYTES and not self.transport.is_closing():
            # The parser hands out a header only when it is whole: one without an end, before the body or after it, is seen here.
            self._head_bytes = self._unheard
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._seen, self._in_head, self._head_bytes, self._unheard = True, True, 0, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_HEAD_BYTES:
            self._head_bytes = len(self.url)
            raise HeadTooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unheard = 0
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._head_bytes = MAX_HEAD_BYTES + 1
            raise HeadTooLarge
        if self._in_head:  # trailers after a body are read and dropped
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._unheard = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes <= MAX_HEAD_BYTES:
            super().send_400_response(msg)
            return
        head = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE))
        self.transport.close()

    def pause_writing(self) -> None:
        self._unread_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def check_time(self, now: float) -> None:
        """Ends what takes too long. now: monotonic seconds."""
        if self._unread_since is not None and now - self._unread_since > self.patience.reading:
            self.transport.abort()
            return
        if self.flow.read_paused:
            self._since = now  # it is we who take nothing
        if now - self._since > self._allowed():
            self.transport.close()

    def _allowed(self) -> float:
        """Seconds for what the connection is waiting for; no bound while we owe an answer, and between requests uvicorn's own."""
        if self._in_body:
            return self.patience.silence
        if self._in_head:
            return self.patience.head if self._answered() else math.inf
        return math.inf if self._seen else self.patience.first

    def _answered(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)


def check_times(connections: Iterable[object]) -> None:
    """Of all connections of a server."""
    now = monotonic()
    for connection in tuple(connections):
        if isinstance(connection, BoundedConnection):
            connection.check_time(now)
