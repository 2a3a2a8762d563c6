"""One worker of the model server, from its socket to its graceful end. Composition of this process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from tilth.core import clock
from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.http1 import Connection
from tilth.plane.hung import HungMarks
from tilth.plane.loading import Loader
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.plane.shipping.pace import Pace
from tilth.plane.status import StatusReport
from tilth.plane.watchdog import watch
from tilth.wire.plane import PREDICTIONS_FOLDER

DRAIN_S = 4.0
"""Longest time for what is in flight at SIGTERM."""
FIRST_LOAD_S = 3.0
"""Longest time that a fresh worker takes no requests because its deployments load; what loads longer answers 503 until it serves."""
GRACE_S = 0.2
"""Idle connections stay open this long at SIGTERM: a request may be on its way."""
SWEEP_S = 1.0
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
    log = PredictionLog(worker.home / PREDICTIONS_FOLDER, worker.name)
    core = Core(log)
    report = StatusReport(worker.home, worker.name, core)
    residence = Residence(worker.memory_budget_mb << 20)
    follower = Follower(worker.home, core, Loader(worker.home, residence), report.changed)
    peers: set[Connection] = set()
    worker.listener.setblocking(False)
    tasks = [
        loop.create_task(follower.run()),
        loop.create_task(report.run(follower)),
        loop.create_task(_sweep(peers, log, Pace(worker.home))),
        loop.create_task(_unload_idle(residence)),
    ]
    watch(core, HungMarks(worker.home))
    await _first_load(follower, stopped)
    server = await loop.create_server(lambda: Connection(core, peers), sock=worker.listener, backlog=BACKLOG)
    _tell_ready(worker.ready_fd)
    tasks.append(loop.create_task(_until(stopped)))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    core.draining = True
    server.close()
    await drain(core, peers)
    for task in tasks:
        task.cancel()
    await asyncio.to_thread(log.close)
    report.withdraw()
    for task in done:
        task.result()


async def _first_load(follower: Follower, stopped: asyncio.Event) -> None:
    """Waits at most FIRST_LOAD_S. The socket listens already: who connects to a worker that was started again waits, and is not refused."""
    end = clock.monotonic() + FIRST_LOAD_S
    while not follower.settled and not stopped.is_set() and clock.monotonic() < end:
        await asyncio.sleep(0.005)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _sweep(peers: set[Connection], log: PredictionLog, pace: Pace) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        pace.set(log)
        now = clock.monotonic()
        for connection in tuple(peers):
            connection.check_time(now)


async def _unload_idle(residence: Residence) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        if residence.empty:
            continue
        # Ending a version's processes takes a moment.
        await asyncio.to_thread(residence.sweep, clock.monotonic())


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
