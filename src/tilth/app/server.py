"""The control process: checks, schema, wiring, then uvicorn on a socket that the supervisor holds open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from litestar.types import ASGIApp

from tilth.app.background import Job, running
from tilth.app.collection import LEAST_GRACE, collect
from tilth.app.connections import BoundedConnection, check_times
from tilth.app.wiring import System
from tilth.core.clock import HOUR, Millis
from tilth.domains.audit import jobs as audit
from tilth.domains.identity.queries import writes as identity
from tilth.domains.models.actions.trash import empty_all
from tilth.domains.models.queries.purging import runs_behind_versions
from tilth.domains.serving.jobs import forget_old_labels, keep_to_time
from tilth.domains.tracking.actions.rounds import apply_all_rules
from tilth.domains.tracking.jobs import HeartbeatSweep, sweep_uploads

log = logging.getLogger("tilth.app")

GRACE_S = 5
LISTEN_BACKLOG = 1024
COLLECT_EVERY_OBJECTS = 50_000


class ControlServer(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process by the signal itself and skips our clean-up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Every 0.1 s."""
        if counter % 10 == 0:
            check_times(self.server_state.connections)
        return await super().on_tick(counter)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket of our own, for a control process that no supervisor started.

    With `proto=IPPROTO_TCP` asyncio sets TCP_NODELAY; without it every keep-alive answer is 44 ms late.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(LISTEN_BACKLOG)
    return bound


def adopt(descriptor: int) -> socket.socket:
    """The supervisor's socket. A socket made from a descriptor asks the kernel for its protocol, so TCP_NODELAY works."""
    return socket.socket(fileno=descriptor)


async def serve(system: System, app: ASGIApp, listening: socket.socket, ready_fd: int | None) -> None:
    """Answers until SIGTERM or SIGINT, then ends what is under way within GRACE_S seconds."""
    listening.setblocking(False)
    settings = system.settings
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    server = ControlServer(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    spare_the_collector()
    system.dispatcher.start()
    async with running(jobs(system)):
        answering = asyncio.create_task(server.serve(sockets=[listening]))
        await _report_ready(server, answering, ready_fd)
        await answering
    await system.trials.close()
    await asyncio.to_thread(last_words, system)


def spare_the_collector() -> None:
    """What start-up made lives as long as the process: the cycle collector need not walk it again and again between two requests.

    A request leaves few cycles behind, so that it may also look less often than every 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY_OBJECTS, 20, 50)


async def _report_ready(server: uvicorn.Server, answering: asyncio.Task[Any], ready_fd: int | None) -> None:
    while not server.started and not answering.done():
        await asyncio.sleep(0.01)
    if ready_fd is not None and server.started:
        os.write(ready_fd, b"1")
        os.close(ready_fd)


def jobs(system: System) -> list[Job]:
    """What runs beside the requests."""
    changed = waker(system, "plane", "identity")
    database, clock, settings = system.database, system.clock, system.settings
    timeout_s = settings.heartbeat_timeout_s
    sweep = HeartbeatSweep(database, timeout_s=timeout_s, clock=clock)
    grace = Millis(max(LEAST_GRACE, round(settings.grace_period_h * HOUR)))

    def retention() -> Awaitable[None]:
        return apply_all_rules(database, clock, runs_behind_versions)

    return [
        Job("publish to model servers", in_thread(system.publisher.publish_if_changed), every_s=1.0, wake=changed),
        Job("judge rollouts", system.rollouts.judge_all, every_s=2.0),
        # While this process was down nobody could send a heartbeat, so the first look waits one whole timeout.
        Job("find lost runs", sweep.sweep, every_s=max(1.0, timeout_s / 6), first_after_s=timeout_s),
        Job("note use of tokens", system.gate.write_last_used, every_s=10.0),
        Job("seal the audit trail", in_thread(audit.seal, database), every_s=1.0),
        Job("sign the audit trail", in_thread(audit.write_checkpoint, database, system.checkpoints), every_s=60.0),
        Job("forget ended sessions", lambda: database.write(lambda tx: identity.drop_stale_across_projects(tx, clock())), 600.0),
        Job("send webhooks", system.webhooks.send_due, every_s=1.0, wake=waker(system, "webhooks")),
        Job("forget old webhook messages", system.webhooks.drop_old, every_s=3600.0),
        Job("drop uploads left alone", lambda: sweep_uploads(database, clock), every_s=600.0),
        Job("apply retention rules", retention, every_s=3600.0, first_after_s=60.0),
        Job("empty the trash", lambda: empty_all(database, clock, settings.trash_days), 3600.0, waker(system, "trash")),
        Job("drop old predictions", lambda: keep_to_time(database, clock), every_s=3600.0, first_after_s=90.0),
        Job("drop old labels", lambda: forget_old_labels(database, clock), every_s=3600.0, first_after_s=120.0),
        Job("collect unused bytes", lambda: collect(database, system.blobs, clock, grace), every_s=3600.0),
    ]


def in_thread(work: Callable[..., object], *arguments: object) -> Callable[[], Awaitable[object]]:
    return lambda: asyncio.to_thread(work, *arguments)


def waker(system: System, *topics: str) -> asyncio.Event:
    """An event that is set after each commit that announced one of the topics."""
    woken, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set)

    for topic in topics:
        system.database.listen(topic, wake)
    return woken


def last_words(system: System) -> None:
    """Stops the deliveries, signs what the last minute brought and closes the database. What was acknowledged is on disk already."""
    system.dispatcher.stop()
    audit.seal(system.database)
    audit.write_checkpoint(system.database, system.checkpoints)
    system.database.close()
