"""A model server in a thread, over a real socket, with models of every kind of signature; for the tests of its protocols."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tilth.flavours.port import Arrays, Outputs, Rows
from tilth.plane.batching import Core
from tilth.plane.event_loop import new_event_loop
from tilth.plane.http1 import Connection
from tilth.plane.latency import Tally
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.routing import RouteTable
from tilth.plane.server import listen
from tilth.plane.serving import LoadedVersion, ServedDeployment
from tilth.plane.state import serving_state
from tilth.wire import predictions
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PlaneDeployment, PlaneRoute, PlaneState, PlaneToken, PlaneVersion
from tilth.wire.signature import Column, Signature, Tensor

TOKEN = "tilth_stand_token"
MAX_BODY_BYTES = 300_000
AIRPORTS = ("EWR", "JFK", "LGA")


def authorized() -> dict[str, str]:
    """A fresh one for each request: Triton's client writes into it."""
    return {"Authorization": f"Bearer {TOKEN}"}


class Sum:
    """Adds the columns up, and `offset`."""

    engine = "sum"

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def predict(self, rows: Rows) -> Outputs:
        answer: Outputs = rows.sum(axis=1) + self.offset
        return answer


class Flights:
    """Gives the wind (or NaN), whether it is 12 or later, and the origin again."""

    engine = "flights"

    def predict(self, rows: Rows) -> Outputs:
        return np.column_stack([rows[:, 0], rows[:, 1] >= 12, rows[:, 2]])


class Pictures:
    """Mean of each picture thrice, negative where the mask is set; and the caption in capitals."""

    engine = "pictures"

    def predict_arrays(self, arrays: Arrays) -> Arrays:
        means = arrays["picture"].mean(axis=(1, 2)) * np.where(arrays["mask"], -1, 1)
        captions = [text.decode() if isinstance(text, bytes) else text for text in arrays["caption"][:, 0]]
        return {
            "embedding": np.repeat(means[:, None], 3, axis=1).astype(np.float32),
            "loud": np.array([caption.upper() for caption in captions], dtype=object),
        }


class Reviews:
    """Length of the text times the stars."""

    engine = "reviews"

    def predict_arrays(self, arrays: Arrays) -> Arrays:
        lengths = np.array([0 if text is None else len(text) for text in arrays["review"]])
        return {"score": lengths * arrays["stars"]}


SIGNATURES = {
    "sums": Signature(tuple(Column(name, "double") for name in ("a", "b", "c", "d")), (Column("y", "double"),)),
    "flights": Signature(
        (
            Column("wind", "double", nullable=True),
            Column("hour", "long"),
            Column("origin", "string", categories=AIRPORTS, nullable=True),
        ),
        (Column("speed", "double"), Column("afternoon", "boolean"), Column("from", "string", categories=AIRPORTS)),
    ),
    "pictures": Signature(
        tensors=(Tensor("picture", "float32", (-1, 2, -1)), Tensor("mask", "bool", (-1,)), Tensor("caption", "bytes", (-1, 1))),
        output_tensors=(Tensor("embedding", "float32", (-1, 3)), Tensor("loud", "bytes", (-1,))),
    ),
    "reviews": Signature((Column("review", "string", nullable=True), Column("stars", "long")), (Column("score", "long"),)),
}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Stand:
    """Deployments `sums` (versions 1 and 2, the second answers unless the address says 1), `flights`, `pictures` and `reviews`."""

    def __init__(self, folder: Path, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.folder = folder
        self.log = PredictionLog(folder, "w0")
        self.loop = new_event_loop()
        self.core = Core(self.log)
        served = [
            _served("sums", [Sum(), Sum(100.0)], max_body_bytes),
            _served("flights", [Flights()], max_body_bytes),
            _served("pictures", [Pictures()], max_body_bytes),
            _served("reviews", [Reviews()], max_body_bytes),
        ]
        wanted = (*(each.spec for each in served), _wanted("absent", 1, max_body_bytes))
        token = PlaneToken(hashlib.sha256(TOKEN.encode()).hexdigest(), "someone", ("p1",), None)
        self.core.state = serving_state(PlaneState(1, 0, "", wanted, (token,)), {each.spec.id: each for each in served}, {})
        self.listener = listen("127.0.0.1", 0)
        self.port: int = self.listener.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self._stopped = asyncio.Event()
        self._thread.start()
        self._ready.wait(20)

    async def _serve(self) -> None:
        peers: set[Connection] = set()
        self.listener.setblocking(False)
        server = await self.loop.create_server(lambda: Connection(self.core, peers), sock=self.listener)
        self._ready.set()
        await self._stopped.wait()
        server.close()
        for connection in tuple(peers):
            connection.close()
        await asyncio.sleep(0.01)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self.loop.close()
        self.log.close()

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """With the token, and JSON, unless the headers say otherwise (an empty one is left out)."""
        given = {**authorized(), "Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, data, {name: value for name, value in given.items() if value})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def frames(self) -> list[predictions.PredictionFrame]:
        frames = []
        for path in self.folder.iterdir():
            with path.open("rb") as segment:
                frames += list(predictions.iterate(segment))
        return sorted(frames, key=lambda frame: frame.prediction_id)

    def frame(self, prediction_id: str) -> predictions.PredictionFrame:
        return next(frame for frame in self.frames() if frame.prediction_id == prediction_id)


def _wanted(name: str, versions: int, max_body_bytes: int) -> PlaneDeployment:
    sealed = tuple(PlaneVersion(name, number, "m", "", ()) for number in range(1, versions + 1))
    routes = (PlaneRoute(sealed[-1].key, 10_000),)
    return PlaneDeployment(f"id-{name}", "p1", "demo", name, 1, sealed, routes, max_body_bytes=max_body_bytes)


def _served(name: str, models: list[Any], max_body_bytes: int) -> ServedDeployment:
    wanted = _wanted(name, len(models), max_body_bytes)
    document = ModelDocument("none", SIGNATURES[name], "predict", "none")
    loaded = tuple(LoadedVersion(sealed, document, model) for sealed, model in zip(wanted.versions, models, strict=True))
    return ServedDeployment(wanted, RouteTable("", [(10_000, loaded[-1])]), loaded, Tally())
