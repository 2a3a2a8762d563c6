"""The same core answers behind an ASGI server."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tilth.plane.asgi import application
from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.loading import Loader
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.wire.plane import PREDICTIONS_FOLDER


@pytest.fixture
def port(home: Any, models: Any) -> Iterator[int]:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1), max_body_bytes=1000))
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()
    ready = threading.Event()

    async def run() -> None:
        log = PredictionLog(home.path / PREDICTIONS_FOLDER, "asgi")
        core = Core(log)
        follower = asyncio.create_task(Follower(home.path, core, Loader(home.path, Residence(0)), lambda: None).run())
        server = uvicorn.Server(uvicorn.Config(application(core), lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve([listener]))
        while not core.state.settled:
            await asyncio.sleep(0.01)
        ready.set()
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving
        follower.cancel()
        log.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20)
    yield listener.getsockname()[1]
    stop.set()
    thread.join()
    listener.close()


def test_an_asgi_server_gives_the_same_answers(port: int, home: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": "Bearer tilth_test_token", "Content-Type": "application/json"}
    seen = []
    for path, body in (("sums", {"instances": [[1, 2]]}), ("sums", {"instances": [[1]]}), ("sums", "x" * 2000), ("other", {})):
        connection.request("POST", f"/p/demo/deployments/{path}/invocations", json.dumps(body), headers)
        response = connection.getresponse()
        seen.append((response.status, json.loads(response.read())))
    connection.close()
    assert [status for status, _ in seen] == [200, 400, 413, 404]
    assert seen[0][1]["predictions"] == [pytest.approx(3.0)]
    assert len(home.logged()) == 1
