"""`tilth serve`: one model folder behind the contracts of SageMaker and Vertex AI, without a Tilth server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tilth.cli.commands.serve import contract_of
from tilth.sdk.batch.places import open_place
from tilth.wire import predictions


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """folder: where it was started."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.folder = folder
        self.process = process
        self.port = port

    def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": content_type})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


@contextmanager
def serving(*arguments: str, folder: Path, **environment: str) -> Iterator[Served]:
    """As a container's platform would start it: from an empty folder, nothing of Tilth around."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tilth.cli", "serve", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready http://"), line
        yield Served(process, int(line.strip().rpartition(":")[2]), folder)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


ROWS = {"instances": [[1, 2]]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, models: Any) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(
        "--container",
        "sagemaker",
        *("--model", str(models[0].folder)),
        *("--name", "sums"),
        *("--host", "127.0.0.1"),
        *("--port", "0"),
        *("--workers", "2"),
        *("--log", str(folder / "log")),
        folder=folder,
    ) as found:
        yield found


def test_sagemakers_two_addresses_answer_without_a_token(served: Served) -> None:
    assert served.send("GET", "/ping").status == 200
    assert served.send("GET", "/version").status == 200
    reply = served.send("POST", "/invocations", ROWS)
    assert reply.json()["predictions"] == [pytest.approx(3.0)]
    assert reply.headers["x-prediction-id"] == reply.json()["prediction_id"]
    csv = served.send("POST", "/invocations", b"a,b\n1,2\n3,4\n", "text/csv")
    assert csv.json()["predictions"] == [pytest.approx(3.0), pytest.approx(7.0)]


def test_the_inference_protocols_stand_at_the_root(served: Served) -> None:
    assert served.send("GET", "/v2/health/ready").status == 200
    assert served.send("GET", "/v2/models/sums").json()["name"] == "sums"
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    body = served.send("POST", "/v2/models/sums/infer", {"inputs": [tensor]}).json()
    assert body["outputs"][0]["data"] == [pytest.approx(3.0)]
    assert served.send("POST", "/v1/models/sums:predict", ROWS).json()["predictions"] == [pytest.approx(3.0)]


def test_a_mistake_is_told_without_asking_for_a_token(served: Served) -> None:
    assert served.send("POST", "/invocations", {"instances": [[1]]}).status == 400
    assert served.send("GET", "/invocations").status == 405
    unknown = served.send("GET", "/elsewhere")
    assert unknown.status == 404
    assert "POST /invocations" in unknown.json()["message"]


def test_every_answered_request_is_in_the_log_that_was_asked_for(served: Served) -> None:
    asked = served.send("POST", "/invocations", ROWS).json()["prediction_id"]
    frames = []
    for path in (served.folder / "log").iterdir():
        with path.open("rb") as segment:
            frames += [frame.prediction_id for frame in predictions.iterate(segment)]
    assert asked in frames


def test_a_process_that_dies_is_started_again(served: Served) -> None:
    before = {process.pid for process in served.workers()}
    served.workers()[0].kill()
    end = time.monotonic() + 20
    while len({process.pid for process in served.workers()} - before) < 1:
        assert time.monotonic() < end, "no process was started"
        time.sleep(0.05)
    # Its socket kept what came meanwhile.
    assert [served.send("POST", "/invocations", ROWS).status for _ in range(8)] == [200] * 8


def test_vertex_says_where_it_wants_its_addresses(tmp_path: Path, models: Any) -> None:
    environment = {
        "AIP_HTTP_PORT": "0",
        "AIP_HEALTH_ROUTE": "/custom/healthy",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict",
        "AIP_STORAGE_URI": models[0].folder.as_uri(),
    }
    with serving(folder=tmp_path, **environment) as vertex:
        assert vertex.send("GET", "/custom/healthy").status == 200
        reply = vertex.send("POST", "/v1/endpoints/7:predict", {**ROWS, "parameters": {"x": 1}})
        assert reply.json()["predictions"] == [pytest.approx(3.0)]
        children = vertex.workers()
        vertex.process.send_signal(signal.SIGTERM)
        assert vertex.process.wait(20) == 0
        assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("container", "environment", "expected"),
    [
        ("sagemaker", {}, ("/opt/ml/model", "0.0.0.0", 8080, "", "")),
        ("sagemaker", {"SAGEMAKER_BIND_TO_PORT": "9000"}, ("/opt/ml/model", "0.0.0.0", 9000, "", "")),
        ("vertex", {}, ("", "0.0.0.0", 8080, "/health", "/predict")),
        (None, {"AIP_HTTP_PORT": "9", "AIP_STORAGE_URI": "gs://b/m"}, ("gs://b/m", "0.0.0.0", 9, "/health", "/predict")),
        (None, {}, ("", "127.0.0.1", 8080, "", "")),
    ],
)
def test_the_platform_is_known_by_what_it_sets(container: str | None, environment: dict[str, str], expected: Any) -> None:
    contract = contract_of(container, environment)
    assert (contract.model, contract.host, contract.port, contract.health, contract.predict) == expected


S3_KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def s3_server() -> Iterator[str]:
    """Address of an S3 server (moto) with the bucket `tilth-blobs`."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "conformance" / "moto_child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **S3_KEYS},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        child.stdin.close()


def test_a_model_is_fetched_from_an_object_store(
    tmp_path: Path, models: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name, value)
    address = f"s3://tilth-blobs/models/sums?endpoint={s3_server}&region=us-east-1"
    place = open_place(address)
    for entry in models[0].manifest.files:
        place.write(entry.path, (models[0].folder / entry.path).read_bytes())
    with serving("--model", address, "--name", "sums", "--port", "0", folder=tmp_path, TMPDIR=str(tmp_path)) as found:
        assert found.send("POST", "/invocations", ROWS).json()["predictions"] == [pytest.approx(3.0)]


def refused(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "tilth.cli", "serve", "--port", "0", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode in (1, 2), ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_what_cannot_be_served_is_told_in_words(tmp_path: Path) -> None:
    assert "add --model FOLDER or --deployment NAME" in refused(tmp_path)
    assert "nowhere is not there" in refused(tmp_path, "--model", "nowhere")
    assert "holds no tilth.json" in refused(tmp_path, "--model", ".")
    assert "not both" in refused(tmp_path, "--model", ".", "--deployment", "x")
    (tmp_path / "tilth.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused(tmp_path, "--model", ".", "--port", str(taken.getsockname()[1]))
    said = refused(tmp_path, "--model", ".")
    assert "tilth.json" in said
    assert "did not come up" in said
