"""HTTP clients that cost little beside the servers they measure: requests are bytes made beforehand, answers are read by httptools."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop

PATIENCE_S = 30.0


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered) + 0.5) - 1))]


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


def request(url: str, method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    """A whole HTTP/1.1 request to the server of `url`, kept alive."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Answer:
    """What httptools tells about one answer."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.complete = False
        self.parts: list[bytes] = []

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.complete = True

    @property
    def status(self) -> int:
        return int(self.parser.get_status_code())

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


class Connection:
    """One blocking keep-alive connection: what a single client waits for, without an event loop in between."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "127.0.0.1", address.port or 80), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, data: bytes) -> Answer:
        answer = Answer()
        self._socket.sendall(data)
        while not answer.complete:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("the server closed the connection before its answer was complete")
            answer.parser.feed_data(received)
        return answer

    def close(self) -> None:
        self._socket.close()


@dataclass
class Outcome:
    """latencies_ms: of good answers, in the order they came. errors: status or kind of error -> how many."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    def p(self, percent: float) -> float:
        return percentile(self.latencies_ms, percent)


def one_client(connection: Connection, requests: Sequence[bytes]) -> Outcome:
    """The requests, one after the other over one connection."""
    outcome = Outcome()
    gc.disable()
    begun = perf_counter()
    try:
        for data in requests:
            sent = perf_counter()
            answer = connection.ask(data)
            if 200 <= answer.status < 300:
                outcome.latencies_ms.append((perf_counter() - sent) * 1e3)
            else:
                _count(outcome, f"{answer.status} {answer.body[:200].decode(errors='replace')}")
    finally:
        gc.enable()
    outcome.seconds = perf_counter() - begun
    return outcome


Next = Callable[[], bytes | None]
"""Gives the next request of one client, or None when it is done."""


class _Client(asyncio.Protocol):
    """One keep-alive connection that sends its next request once the last one is answered."""

    def __init__(self, following: Next, outcome: Outcome, done: asyncio.Future[None]) -> None:
        self._following = following
        self._outcome = outcome
        self._done = done
        self._transport: Any = None
        self._answer = Answer()
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def start(self) -> None:
        self._send()

    def _send(self) -> None:
        data = self._following()
        if data is None:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
            return
        self._answer = Answer()
        self._sent = perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        answer.parser.feed_data(data)
        if not answer.complete:
            return
        status = answer.status
        if 200 <= status < 300:
            self._outcome.latencies_ms.append((perf_counter() - self._sent) * 1e3)
        else:
            _count(self._outcome, f"{status} {answer.body[:200].decode(errors='replace')}")
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            _count(self._outcome, "connection closed by the server")
            self._done.set_result(None)


def many_clients(url: str, clients: Sequence[Next], seconds: float) -> Outcome:
    """All clients at once, a connection each, until each has no request left or `seconds` have passed (then each ends its last one)."""
    return uvloop.run(_many(url, clients, seconds))


async def _many(url: str, clients: Sequence[Next], seconds: float) -> Outcome:
    loop, outcome, address = asyncio.get_running_loop(), Outcome(), urlsplit(url)
    ends: list[float] = []

    def bounded(following: Next) -> Next:
        return lambda: None if perf_counter() >= ends[0] else following()

    protocols, dones = [], []
    for following in clients:
        done: asyncio.Future[None] = loop.create_future()
        _, protocol = await loop.create_connection(
            lambda following=following, done=done: _Client(bounded(following), outcome, done),  # type: ignore[misc]
            address.hostname or "127.0.0.1",
            address.port or 80,
        )
        protocols.append(protocol)
        dones.append(done)
    gc.disable()
    begun = perf_counter()
    ends.append(begun + seconds)
    for protocol in protocols:
        protocol.start()
    try:
        await asyncio.wait_for(asyncio.gather(*dones), seconds + PATIENCE_S)
    finally:
        gc.enable()
    outcome.seconds = perf_counter() - begun
    return outcome


def _count(outcome: Outcome, kind: str) -> None:
    outcome.errors[kind] = outcome.errors.get(kind, 0) + 1
