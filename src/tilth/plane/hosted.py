"""The same core in a process that somebody else runs, as an ASGI application that starts and ends with its lifespan."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.core.hashing import Manifest
from tilth.plane.asgi import Application, Message, Receive, Send, application
from tilth.plane.batching import Core
from tilth.plane.cache import ArtifactDamaged
from tilth.plane.replica import Replica
from tilth.plane.standalone import NoLog, Standing, standing_state
from tilth.plane.state import ServingState

logger = logging.getLogger(__name__)

SETTLE_S = 120.0
"""How long a replica waits for what is published before it takes requests."""

Begin = Callable[[], AbstractAsyncContextManager[Core]]


def folder_application(standing: Standing, seal: str) -> Application:
    """Serves one model folder whose files must have the digest `seal`; nothing asks for a token and no prediction is kept."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[Core]:
        with tempfile.TemporaryDirectory(prefix="tilth-serve-") as work:
            core = Core(NoLog())
            core.state = await asyncio.to_thread(_loaded, standing, seal, Path(work))
            yield core
            core.draining = True

    return _application(begin)


def home_application(home: Path, worker: str) -> Application:
    """Follows the state that the home's control process publishes, as any model server of it does: tokens, log and status as there.

    home: as this machine sees it. worker: its name, unique within the home.
    """

    @asynccontextmanager
    async def begin() -> AsyncIterator[Core]:
        replica = Replica(home, worker)
        for task in replica.tasks:
            task.add_done_callback(partial(_end_process, replica.core))
        try:
            await _settled(replica.core)
            yield replica.core
        finally:
            replica.core.draining = True
            await replica.end()

    return _application(begin)


def _application(begin: Begin) -> Application:
    running: list[Application] = []

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(begin, running, receive, send)
            return
        # Below a prefix of the host's the addresses are ours all the same.
        prefix = scope.get("root_path", "").encode()
        path = scope["raw_path"]
        inner = scope if not prefix or not path.startswith(prefix) else {**scope, "raw_path": path[len(prefix) :] or b"/"}
        await running[0](inner, receive, send)

    return answer


async def _live(begin: Begin, running: list[Application], receive: Receive, send: Send) -> None:
    await receive()
    try:
        async with begin() as core:
            running.append(application(core))
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except TilthError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})


def _loaded(standing: Standing, seal: str, work: Path) -> ServingState:
    if Manifest.of_folder(standing.model).digest != seal:
        raise ArtifactDamaged(f"{standing.model} does not hold the files that were sealed as {seal[:12]}...; deploy it again")
    return standing_state(standing, work)


def _end_process(core: Core, task: asyncio.Task[None]) -> None:
    """A replica that follows or reports no longer is worse than none: whoever runs this process starts another."""
    if core.draining:
        return
    core.draining = True
    failure = None if task.cancelled() else task.exception()
    logger.critical("%s ended, and so does this process", task.get_name(), exc_info=failure)
    os.kill(os.getpid(), signal.SIGTERM)


async def _settled(core: Core) -> None:
    end = clock.monotonic() + SETTLE_S
    while not core.state.settled and clock.monotonic() < end:
        await asyncio.sleep(0.05)
