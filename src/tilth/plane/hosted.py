"""The same core in a process that somebody else runs, as an ASGI application that starts and ends with its lifespan."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.core.hashing import Manifest
from tilth.plane.asgi import Application, Message, Receive, Send, application
from tilth.plane.batching import Core
from tilth.plane.cache import ArtifactDamaged
from tilth.plane.follower import Follower
from tilth.plane.loading import Loader
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.plane.shipping.pace import Pace
from tilth.plane.standalone import NoLog, Standing, standing_state
from tilth.plane.state import ServingState
from tilth.plane.status import StatusReport
from tilth.wire.plane import PREDICTIONS_FOLDER

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
        log = PredictionLog(home / PREDICTIONS_FOLDER, worker)
        core = Core(log)
        report = StatusReport(home, worker, core)
        follower = Follower(home, core, Loader(home, Residence(0)), report.changed)
        tasks = [
            asyncio.create_task(follower.run()),
            asyncio.create_task(report.run(follower)),
            asyncio.create_task(_hand_on(log, Pace(home))),
        ]
        try:
            await _settled(core)
            yield core
        finally:
            core.draining = True
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(log.close)
            report.withdraw()

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


async def _settled(core: Core) -> None:
    end = clock.monotonic() + SETTLE_S
    while not core.state.settled and clock.monotonic() < end:
        await asyncio.sleep(0.05)


async def _hand_on(log: PredictionLog, pace: Pace) -> None:
    while True:
        await asyncio.sleep(1.0)
        pace.set(log)
