"""Real homes, real models and real workers for the tests of the model server."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.plane.server import listen
from tilth.wire import predictions
from tilth.wire.plane import (
    CACHE_FOLDER,
    PREDICTIONS_FOLDER,
    STATE_PATH,
    STATUS_FOLDER,
    TOKEN_PATH,
    ModelFile,
    PlaneDeployment,
    PlaneRoute,
    PlaneState,
    PlaneToken,
    PlaneVersion,
    WorkerStatus,
)

TOKEN = "tilth_test_token"
INVOKE = "/p/demo/deployments/sums/invocations"
PATIENCE_S = 60.0
"""Before a test gives up; nothing waits this long that works."""


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self._connection.request(method, path, data, {name: value for name, value in given.items() if value})
        response = self._connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def predict(self, body: Any, **headers: str) -> Reply:
        return self.send("POST", INVOKE, body, **headers)

    def close(self) -> None:
        self._connection.close()


class SavedModel(NamedTuple):
    """A folder as it would be registered. `offset` is what the model adds to the sum of its two inputs."""

    folder: Path
    manifest: Manifest
    offset: float

    def version(self, number: int) -> PlaneVersion:
        files = tuple(ModelFile(entry.path, entry.digest, entry.size) for entry in self.manifest.files)
        return PlaneVersion("sums", number, f"m-{number:032d}", self.manifest.digest, files)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[SavedModel, SavedModel]:
    """Two scikit-learn models over the columns a and b: a + b, and a + b + 100."""
    rows = np.random.default_rng(7).normal(size=(50, 2))
    saved = []
    for offset in (0.0, 100.0):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(rows, columns=["a", "b"])
        folder = tmp_path_factory.mktemp("models") / "folder"
        save_model(LinearRegression().fit(frame, rows.sum(axis=1) + offset), folder, example=frame)
        saved.append(SavedModel(folder, Manifest.of_folder(folder), offset))
    return saved[0], saved[1]


class Worker:
    """A model-server process on its own port."""

    def __init__(self, home: PlaneHome, process: subprocess.Popen[bytes], port: int, name: str) -> None:
        self.home = home
        self.process = process
        self.port = port
        self.name = name

    def client(self) -> Client:
        return Client(self.port)

    def status(self) -> WorkerStatus | None:
        try:
            content = (self.home.path / STATUS_FOLDER / f"{self.name}.json").read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(content, type=WorkerStatus)

    def wait_for_generation(self, generation: int) -> None:
        def acknowledged() -> bool:
            status = self.status()
            if status is None or status.pid != self.process.pid:
                return False  # of an earlier process of that name
            return [deployment.acknowledged for deployment in status.deployments] == [generation]

        wait_until(acknowledged, f"generation {generation} of {self.name}")

    def wait_for_refusal(self, generation: int) -> str:
        def refused() -> str:
            status = self.status()
            return "".join(d.error for d in status.deployments if d.failed_generation == generation) if status else ""

        return str(wait_until(refused, f"the refusal of generation {generation}"))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


class PlaneHome:
    """A home as the control process would keep it, and the workers that a test starts on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control_url = "http://127.0.0.1:9"
        self.sequence = 0
        self.tokens = [PlaneToken(hashlib.sha256(TOKEN.encode()).hexdigest(), "someone", ("p1",), None)]
        self._workers: list[Worker] = []
        (path / CACHE_FOLDER).mkdir(parents=True)
        (path / TOKEN_PATH).write_text("worker-secret")

    def cache(self, model: SavedModel) -> Path:
        """Puts the model where a worker that fetched it would have it."""
        place = self.path / CACHE_FOLDER / model.manifest.digest
        shutil.copytree(model.folder, place)
        return place

    def deployment(self, generation: int, *versions: PlaneVersion, **options: Any) -> PlaneDeployment:
        routes = options.pop("routes", (PlaneRoute(versions[0].key, 10_000),))
        return PlaneDeployment("d1", "p1", "demo", "sums", generation, versions, routes, **options)

    def publish(self, *deployments: PlaneDeployment) -> None:
        self.sequence += 1
        state = PlaneState(self.sequence, 0, self.control_url, deployments, tuple(self.tokens))
        fresh = self.path / "plane" / "state.new"
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self.path / STATE_PATH)

    def start(
        self,
        name: str = "w0",
        *,
        port: int = 0,
        environment: dict[str, str] | None = None,
        prefix: str = "",
        options: tuple[str, ...] = (),
    ) -> Worker:
        """prefix: shell words before the program, such as a limit; options: words after it."""
        listener = listen("127.0.0.1", port)
        ready, told = os.pipe()
        arguments = [sys.executable, "-m", "tilth.plane", "--home", str(self.path), "--worker", name]
        arguments += ["--fd", str(listener.fileno()), "--ready-fd", str(told), *options]
        if prefix:
            arguments = ["sh", "-c", f'{prefix} exec "$@"', "sh", *arguments]
        with listener:
            process = subprocess.Popen(
                arguments,
                pass_fds=(listener.fileno(), told),
                env={**os.environ, **(environment or {})},
                stderr=subprocess.DEVNULL,
            )
            os.close(told)
            with os.fdopen(ready, "rb") as pipe:
                assert pipe.read(1) == b"1", "the worker ended before it was ready"
            worker = Worker(self, process, listener.getsockname()[1], name)
        self._workers.append(worker)
        return worker

    def logged(self) -> list[predictions.PredictionFrame]:
        """Every whole frame of every segment."""
        frames = []
        for path in sorted((self.path / PREDICTIONS_FOLDER).iterdir()):
            with path.open("rb") as segment:
                frames += list(predictions.iterate(segment))
        return frames

    def end(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait(PATIENCE_S)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PlaneHome]:
    made = PlaneHome(tmp_path / "home")
    yield made
    made.end()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, models: tuple[SavedModel, SavedModel]) -> Iterator[Worker]:
    """One worker for all tests of a module that change nothing; its deployment takes bodies up to 20,000 bytes."""
    made = PlaneHome(tmp_path_factory.mktemp("plane") / "home")
    made.cache(models[0])
    made.publish(made.deployment(1, models[0].version(1), max_body_bytes=20_000))
    started = made.start()
    started.wait_for_generation(1)
    yield started
    made.end()


@pytest.fixture
def client(worker: Worker) -> Iterator[Client]:
    made = worker.client()
    yield made
    made.close()


@pytest.fixture
def connect(worker: Worker) -> Iterator[Callable[[], socket.socket]]:
    """Raw connections to the module's worker."""
    opened: list[socket.socket] = []

    def connected() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", worker.port), PATIENCE_S))
        return opened[-1]

    yield connected
    for connection in opened:
        connection.close()


class FileServer:
    """Hands out model files over HTTP as the control process does. Counts requests; `broken` makes it send other bytes."""

    def __init__(self, models: tuple[SavedModel, ...]) -> None:
        self.requests = 0
        self.broken = False
        self._folders = {model.version(number).logged_model_id: model.folder for number, model in enumerate(models, 1)}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                _, _, _, _, _, logged_model_id, _, path = self.path.split("/", 7)
                if self.headers["Authorization"] != "Bearer worker-secret":
                    self.send_error(401)
                    return
                data = (outer._folders[logged_model_id] / path).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[::-1] if outer.broken else data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def file_server(models: tuple[SavedModel, SavedModel]) -> Iterator[FileServer]:
    made = FileServer(models)
    yield made
    made.close()
