"""One worker of the model server, from its socket to its graceful end. Composition of this process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from tilth.core import clock
from tilth.core.errors import Unavailable
from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.http1 import Connection
from tilth.plane.replica import SWEEP_S, Replica

DRAIN_S = 4.0
"""Longest time for what is in flight at SIGTERM."""
FIRST_LOAD_S = 3.0
"""Longest time that a fresh worker takes no requests because its deployments load; what loads longer answers 503 until it serves."""
GRACE_S = 0.2
"""Idle connections stay open this long at SIGTERM: a request may be on its way."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Worker:
    """What one process is told. ready_fd: gets one byte once the socket accepts. memory_budget_mb: for lazy versions, 0 for no bound."""

    home: Path
    name: str
    listener: socket.socket
    ready_fd: int | None
    memory_budget_mb: int = 0


def listen(host: str, port: int) -> socket.socket:
    """A socket of one's own, several of which may share the port. Port 0 takes a free one.

    proto: asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it each keep-alive answer is 40 ms late.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


async def serve(worker: Worker) -> None:
    """Until SIGTERM or SIGINT, then answers what is in flight and makes the prediction log durable."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    peers: set[Connection] = set()
    worker.listener.setblocking(False)
    replica = Replica(worker.home, worker.name, worker.memory_budget_mb, lambda: _abandon(peers))
    core = replica.core
    await _first_load(replica.follower, stopped)
    server = await loop.create_server(lambda: Connection(core, peers), sock=worker.listener, backlog=BACKLOG)
    _tell_ready(worker.ready_fd)
    tasks = [loop.create_task(_sweep(peers)), loop.create_task(_until(stopped))]
    done, _ = await asyncio.wait([*replica.tasks, *tasks], return_when=asyncio.FIRST_COMPLETED)
    core.draining = True
    server.close()
    await drain(core, peers)
    for task in tasks:
        task.cancel()
    await replica.end()
    for task in done:
        task.result()


async def _first_load(follower: Follower, stopped: asyncio.Event) -> None:
    """Waits at most FIRST_LOAD_S. The socket listens already: who connects to a worker that was started again waits, and is not refused."""
    end = clock.monotonic() + FIRST_LOAD_S
    while not follower.settled and not stopped.is_set() and clock.monotonic() < end:
        await asyncio.sleep(0.005)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _sweep(peers: set[Connection]) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        now = clock.monotonic()
        for connection in tuple(peers):
            connection.check_time(now)


def _abandon(peers: set[Connection]) -> None:
    """In another thread, while the event loop stands still."""
    for connection in tuple(peers):
        connection.abandon(Unavailable("a model held up this worker, which starts again; ask again"))


async def drain(core: Core, peers: set[Connection]) -> None:
    end = clock.monotonic() + DRAIN_S
    await asyncio.sleep(GRACE_S)
    while clock.monotonic() < end:
        for connection in tuple(peers):
            if connection.idle:
                connection.close()
        if not core.in_flight and not peers:
            return
        await asyncio.sleep(0.02)


def _tell_ready(ready_fd: int | None) -> None:
    if ready_fd is not None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)
