"""How each peer is started and asked. One worker, one OMP thread; what a peer offers to join requests is a contender of its own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import request
from benchmarks.processes import answering, environment, free_port, program
from benchmarks.serving.environments import python_of

PEERS = Path(__file__).parent / "peers"
BARE = "(a socket alone)"
"""No peer: nothing that is asked by this client on this machine can be faster."""
Rows = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Contender:
    """path: where it is asked; body: rows -> request body; name: as the table shows it."""

    name: str
    path: str
    body: Callable[[Rows], bytes]
    start: Callable[[Path, Path], contextlib.AbstractContextManager[str]]

    def requests(self, url: str, rows: Rows) -> list[bytes]:
        """One request per row."""
        return [request(url, "POST", self.path, self.body([row])) for row in rows]

    def big(self, url: str, rows: Rows) -> bytes:
        return request(url, "POST", self.path, self.body(rows))


def instances(rows: Rows) -> bytes:
    return json.dumps({"instances": [list(row) for row in rows]}).encode()


def tensor(rows: Rows) -> bytes:
    """Open Inference Protocol v2."""
    data = [value for row in rows for value in row]
    given = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [given], "outputs": [{"name": "predict_proba"}]}).encode()


Start = Callable[[Path, Path], contextlib.AbstractContextManager[str]]


def contenders(model_folder: Path) -> list[Contender]:
    """model_folder: an MLflow model directory of the same estimator."""
    return [
        Contender("mlflow models serve", "/invocations", instances, _mlflow(model_folder)),
        Contender("MLServer", "/v2/models/m/infer", tensor, _mlserver({})),
        Contender(
            "MLServer, adaptive batching",
            "/v2/models/m/infer",
            tensor,
            _mlserver({"max_batch_size": 64, "max_batch_time": 0.001}),
        ),
        Contender("KServe SDK", "/v1/models/m:predict", instances, _script("kserve", "kserve_server.py", "/v1/models/m")),
        Contender("BentoML", "/predict", instances, _bentoml(False)),
        Contender("BentoML, batching", "/predict", instances, _bentoml(True)),
        Contender("LitServe", "/predict", instances, _script("litserve", "litserve_server.py", "/health")),
        Contender(
            "LitServe, batching", "/predict", instances, _script("litserve", "litserve_server.py", "/health", "--batching")
        ),
        Contender("Ray Serve", "/predict", instances, _script("ray", "ray_server.py", "/-/healthz")),
        Contender("Ray Serve, batching", "/predict", instances, _script("ray", "ray_server.py", "/-/healthz", "--batching")),
        Contender("FastAPI", "/predict", instances, _script("fastapi", "fastapi_server.py", "/docs")),
        Contender("raw ASGI + orjson", "/predict", instances, _script("fastapi", "raw_asgi_server.py", "/")),
        Contender(BARE, "/", instances, _script("fastapi", "bare_server.py", "/")),
    ]


def _mlflow(folder: Path) -> Start:
    @contextlib.contextmanager
    def start(model: Path, place: Path) -> Iterator[str]:
        port = free_port()
        options = ["--env-manager", "local", "--host", "127.0.0.1", "--workers", "1", "--port", str(port)]
        command = [program("mlflow"), "models", "serve", "-m", str(folder), *options]
        with answering(command, place, port, "/ping", OMP_NUM_THREADS="1") as peer:
            yield peer.url

    return start


def _script(environment_name: str, file: str, ready: str, *options: str) -> Start:
    @contextlib.contextmanager
    def start(model: Path, place: Path) -> Iterator[str]:
        port = free_port()
        command = [str(python_of(environment_name)), str(PEERS / file), "--model", str(model), "--port", str(port), *options]
        with answering(command, place, port, ready, OMP_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0") as peer:
            yield peer.url

    return start


def _bentoml(batching: bool) -> Start:
    @contextlib.contextmanager
    def start(model: Path, place: Path) -> Iterator[str]:
        port = free_port()
        command = [str(python_of("bentoml")), "-m", "bentoml", "serve", "bentoml_service:Measured", "--working-dir", str(PEERS)]
        told = {"MEASURED_MODEL": str(model), "MEASURED_BATCHING": str(int(batching)), "BENTOML_HOME": str(place / "bento")}
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with answering(command, place, port, "/readyz", OMP_NUM_THREADS="1", BENTOML_DO_NOT_TRACK="True", **told) as peer:
            yield peer.url

    return start


def _mlserver(batching: dict[str, float]) -> Start:
    @contextlib.contextmanager
    def start(model: Path, place: Path) -> Iterator[str]:
        folder = place / "m"
        folder.mkdir(exist_ok=True)
        port = free_port()
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        (folder / "settings.json").write_text(json.dumps(settings))
        described = {
            "name": "m",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(model)},
            **batching,
        }
        (folder / "model-settings.json").write_text(json.dumps(described))
        command = [str(python_of("mlserver").parent / "mlserver"), "start", str(folder)]
        # It starts its pool of workers by the name of the interpreter.
        path = f"{python_of('mlserver').parent}:{environment()['PATH']}"
        with answering(command, place, port, "/v2/models/m/ready", OMP_NUM_THREADS="1", PATH=path) as peer:
            yield peer.url

    return start
