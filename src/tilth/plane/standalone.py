"""`python -m tilth.plane.standalone --model FOLDER --fd N [--ready-fd M]`: one model, served without a control process.

For containers, whose platform decides who may reach them: nothing here asks for a token. MLflow's `/invocations` and `/ping`, the
Open Inference Protocol and KServe v1 stand at the root; Vertex AI says where it wants its two addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane import telling
from tilth.plane.addresses import Found, Target, invocations_at, protocols_of_one, version_at
from tilth.plane.batching import Core
from tilth.plane.event_loop import new_event_loop
from tilth.plane.fetching import ModelSource
from tilth.plane.http1 import Connection
from tilth.plane.latency import Tally
from tilth.plane.loading import Loader
from tilth.plane.parent import die_with_parent
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.protocols import KSERVE_V1, MLFLOW
from tilth.plane.replica import SWEEP_S
from tilth.plane.residence import Residence
from tilth.plane.server import BACKLOG, drain
from tilth.plane.serving import Place
from tilth.plane.state import ServingState
from tilth.wire.plane import PlaneDeployment, PlaneRoute, PlaneVersion

MAX_BODY_BYTES = 25_000_000
"""As much as SageMaker lets through."""
ROOT = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is served and where. name and version: as clients and answers call the model. health and predict: addresses besides those
    of the protocols, `predict` taking KServe v1's JSON; empty for none. log: folder of the prediction log, None for none."""

    model: Path
    name: str
    version: int = 1
    health: str = ""
    predict: str = ""
    log: Path | None = None
    max_body_bytes: int = MAX_BODY_BYTES


class NoLog:
    """Keeps nothing."""

    def write(self, frames: Sequence[bytes], *, sync: bool = False) -> None:
        """The platform around the container keeps what it wants to keep."""

    def rotate_if_old(self) -> None:
        """There is nothing to hand on."""

    def close(self) -> None:
        """There is nothing to finish."""


class OneFolder:
    """The model's folder stands where the platform has put it; nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder_of(self, version: PlaneVersion, source: ModelSource) -> Path:
        return self._folder

    def prune(self, wanted: object, now: clock.Millis) -> None:
        """It is not ours to remove."""


def standing_state(standing: Standing, work: Path) -> ServingState:
    """Loads and warms the model. work: a folder for what its processes need. Blocking. Raises VersionRefused."""
    version = PlaneVersion(standing.name, standing.version, "", "", ())
    wanted = PlaneDeployment(
        id="standalone",
        project_id="",
        project="",
        name=standing.name,
        generation=1,
        versions=(version,),
        routes=(PlaneRoute(version.key, 10_000),),
        max_body_bytes=standing.max_body_bytes,
    )
    served = Loader(work, Residence(0), OneFolder(standing.model)).load(wanted, "", Tally())
    place = Place(wanted, served, "")
    return ServingState(
        sequence=1,
        known=True,
        places=(place,),
        targets=dict(_targets(standing, place)),
        served={wanted.id: served},
        tokens={},
        guarded=False,
    )


def _targets(standing: Standing, place: Place) -> list[Found]:
    ping = Target("", "GET", MLFLOW, tell=partial(telling.ping, place), readiness=True)
    found = [*protocols_of_one(ROOT, place, ""), invocations_at("/invocations", place, ""), version_at("/version", "")]
    found += [(b"/ping", ping), (b"/health", ping)]
    if standing.health:
        found.append((standing.health.encode(), ping))
    if standing.predict:
        found.append((standing.predict.encode(), Target("", "POST", KSERVE_V1, place)))
    return found


async def serve(standing: Standing, listener: socket.socket, worker: str, ready_fd: int | None) -> None:
    """Until SIGTERM or SIGINT, then answers what is in flight. Raises VersionRefused before anything is answered."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    log = PredictionLog(standing.log, worker) if standing.log is not None else NoLog()
    peers: set[Connection] = set()
    # Made only for a model that runs in processes of its own: a container's disk may be read-only.
    work = Path(os.environ.get("TMPDIR", "/tmp"), f"tilth-serve-{os.getpid()}")
    try:
        core = Core(log)
        core.state = await asyncio.to_thread(standing_state, standing, work)
        listener.setblocking(False)
        server = await loop.create_server(lambda: Connection(core, peers), sock=listener, backlog=BACKLOG)
        if ready_fd is not None:
            os.write(ready_fd, b"1")
            os.close(ready_fd)
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), SWEEP_S)
            log.rotate_if_old()
            now = clock.monotonic()
            for connection in tuple(peers):
                connection.check_time(now)
        core.draining = True
        server.close()
        await drain(core, peers)
        await asyncio.to_thread(log.close)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    arguments = _arguments()
    die_with_parent(signal.SIGTERM)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    standing = Standing(
        arguments.model,
        arguments.name,
        arguments.version,
        arguments.health,
        arguments.predict,
        arguments.log,
        arguments.max_body_bytes,
    )
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(standing, socket.socket(fileno=arguments.fd), arguments.worker, arguments.ready_fd))
    except TilthError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tilth.plane.standalone", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--name", required=True, help="what clients call the model")
    parser.add_argument("--version", type=int, default=1, help="number of its version, as answers tell it")
    parser.add_argument("--health", default="", help="one more address that tells readiness")
    parser.add_argument("--predict", default="", help="one more address that takes {instances: ...}")
    parser.add_argument("--log", type=Path, help="folder for the prediction log; none is kept without")
    parser.add_argument("--max-body-bytes", type=int, default=MAX_BODY_BYTES)
    parser.add_argument("--worker", default="w0", help="name of this process in the log")
    parser.add_argument("--fd", type=int, required=True, help="listening socket, opened by the parent")
    parser.add_argument("--ready-fd", type=int, help="gets one byte once requests are accepted")
    return parser.parse_args()


if __name__ == "__main__":
    main()
