"""Clients that are slow, silent or do not read are let go, and others are not harmed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.plane.protocol_stand import TOKEN, Stand

from tilth.core import clock
from tilth.plane.batching import Core
from tilth.plane.http1 import Connection, Patience
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.state import EMPTY, ServingState

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def converse(folder: Path, patience: Patience, scenario: Callable[[int], Awaitable[None]], state: ServingState = EMPTY) -> None:
    """Runs the scenario against a listening core whose connections are checked every 10 ms."""

    async def sweep(peers: set[Connection]) -> None:
        while True:
            await asyncio.sleep(0.01)
            for peer in tuple(peers):
                peer.check_time(clock.monotonic())

    async def run() -> None:
        log = PredictionLog(folder, "w0")
        core, peers = Core(log), set[Connection]()
        core.state = state
        server = await asyncio.get_running_loop().create_server(lambda: Connection(core, peers, patience), "127.0.0.1", 0)
        sweeper = asyncio.create_task(sweep(peers))
        async with server:
            await asyncio.wait_for(scenario(server.sockets[0].getsockname()[1]), 20)
            sweeper.cancel()
            for peer in tuple(peers):
                peer.close()
        log.close()

    asyncio.run(run())


def test_a_request_that_never_ends_is_answered_408(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        for start in (LIVE[:20], LIVE + LIVE[:20], LIVE[:-2] + b"Content-Length: 5\r\n\r\nab"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)
            received = await reader.read()
            assert received.rpartition(b"HTTP/1.1 ")[0].count(b"HTTP/1.1 200") == start.count(LIVE)
            assert b"HTTP/1.1 408 Request Timeout" in received
            writer.close()

    converse(tmp_path, Patience(receive_s=0.1), scenario)


def test_a_silent_connection_is_closed_without_a_word(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()

    converse(tmp_path, Patience(idle_s=0.1), scenario)


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        try:
            while True:
                writer.write(LIVE * 1000)
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        writer.close()
        del reader

    converse(tmp_path, Patience(send_s=0.1), scenario)


def test_a_client_that_keeps_sending_after_a_refusal_is_let_go(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"rubbish\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        try:
            while True:
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.001)
        except ConnectionError:
            pass
        writer.close()

    converse(tmp_path, Patience(linger_s=0.1), scenario)


def test_a_refusal_waits_for_the_answers_before_it_however_long_they_take(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "stand")
    version = stand.core.state.served["id-sums"].versions[-1]
    version.inline = False
    body = b'{"instances": [[1, 2, 3, 4]]}'
    line = b"POST /p/demo/deployments/sums/invocations HTTP/1.1\r\n"
    head = b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        TOKEN.encode(),
        len(body),
    )

    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with version.turn:
            writer.write(line + head + body + b"rubbish\r\n\r\n")
            await asyncio.sleep(0.3)
        assert re.findall(rb"HTTP/1.1 (\d+)", await reader.read()) == [b"200", b"400"]
        writer.close()

    converse(tmp_path / "log", Patience(linger_s=0.05), scenario, stand.core.state)
    stand.close()
