"""Attacks below HTTP's meaning, on both ports: smuggling, slow clients, heads without end, compression; and bodies of predictions."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from attack_steps import done, raw, statuses, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

API = "/api/v1/p/default"
INVOKE = "/p/default/deployments/attacked/invocations"


@pytest.fixture(scope="module")
def client(tilth_server) -> Iterator[httpx.Client]:
    with tilth_server.client(timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def deployed(tilth_server, client) -> Iterator[httpx.Client]:
    """A client of the model server, which serves a + b with a category of 4,000 values beside them."""
    pandas = pytest.importorskip("pandas")
    sklearn_linear = pytest.importorskip("sklearn.ensemble")
    from tilth.flavours import save_model

    words = [f"N{number:05d}" for number in range(4000)]
    frame = pandas.DataFrame({"a": range(4000), "b": range(4000), "word": pandas.Categorical(words)}).astype(
        {"a": float, "b": float}
    )
    frame["word"] = frame["word"].cat.codes.mod(200).map(lambda code: words[code]).astype("category")
    model = sklearn_linear.HistGradientBoostingRegressor(max_iter=2, categorical_features="from_dtype").fit(frame, frame["a"])
    logged = done(client.post(f"{API}/logged-models", json={"name": "attacked"}))["id"]
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "m", example=frame)
        for path in sorted((Path(folder) / "m").rglob("*")):
            if path.is_file():
                where = path.relative_to(Path(folder) / "m").as_posix()
                done(client.put(f"{API}/logged-models/{logged}/files/{where}", content=path.read_bytes()))
    done(client.post(f"{API}/logged-models/{logged}/finalize", json={}))
    done(client.post(f"{API}/models/attacked/versions", json={"logged_model_id": logged}))
    done(client.put(f"{API}/deployments/attacked", json={"model": "attacked", "version": 1}))
    wait_for(lambda: done(client.get(f"{API}/deployments/attacked/wait?timeout_s=10"))["status"]["live"])
    headers = {"authorization": f"Bearer {tilth_server.token}", "content-type": "application/json"}
    with httpx.Client(base_url=tilth_server.serve_url, headers=headers, timeout=60) as predicting:
        yield predicting


GOOD = b'{"instances": [[1, 2, "N00001"]]}'
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
AMBIGUOUS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 33\r\nContent-Length: 0\r\n\r\n" + GOOD,
    "equal lengths twice": b"Content-Length: 33\r\nContent-Length: 33\r\n\r\n" + GOOD,
    "a list of lengths": b"Content-Length: 33, 33\r\n\r\n" + GOOD,
    "a signed length": b"Content-Length: +33\r\n\r\n" + GOOD,
    "a length below zero": b"Content-Length: -1\r\n\r\n" + GOOD,
    "a hexadecimal length": b"Content-Length: 0x21\r\n\r\n" + GOOD,
    "a length without end": b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n" + GOOD,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a folded header": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed": b"X-A: b\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": b"X-A: b\rContent-Length: 33\r\n\r\n" + GOOD,
    "a zero byte": b"X-A: a\x00b\r\nContent-Length: 33\r\n\r\n" + GOOD,
    "a chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + GOOD,
    "a chunk size with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x21\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a chunk longer than said": b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a line feed in a chunk's extension": b"Transfer-Encoding: chunked\r\n\r\n21;a\n" + GOOD + b"\r\n0\r\n\r\n",
    "an upgrade with length and chunks": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an upgrade with two lengths": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 33\r\nContent-Length: 0\r\n\r\n"
    + GOOD,
}


@pytest.mark.parametrize("attack", AMBIGUOUS)
@pytest.mark.parametrize("port", ["model server", "control"])
def test_a_request_that_two_servers_could_read_differently_is_refused_and_ends_the_connection(
    tilth_server, deployed, client, port, attack
):
    if port == "control":
        run = done(client.post(f"{API}/runs", json={}))["id"]
        url, path, smuggled = tilth_server.url, f"{API}/runs/{run}/log", SMUGGLED.replace(b"/health/live", b"/api/v1/health")
        legal = b'{"tags": {"a": "bcd"}}           '
    else:
        url, path, smuggled, legal = tilth_server.serve_url, INVOKE, SMUGGLED, GOOD
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {tilth_server.token}\r\n"
        "Content-Type: application/json\r\n"
    ).encode()
    answer = raw(url, head + AMBIGUOUS[attack] + smuggled)
    assert statuses(answer) == [400], answer
    twin = raw(url, head + b"Connection: close\r\nContent-Length: 33\r\n\r\n" + legal)
    assert statuses(twin)[0] in (200, 204), twin


@pytest.mark.parametrize("port", ["url", "serve_url"])
def test_a_head_without_end_is_cut_off_early(tilth_server, port):
    url = getattr(tilth_server, port)
    path = b"/api/v1/health" if port == "url" else b"/health/live"
    start = b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for endless in (b"X: " + b"a" * 3_000_000, b"X: a\r\n" * 300_000, b"a" * 3_000_000):
        assert statuses(raw(url, start + endless)) in ([431], [400], []), endless[:10]
    assert statuses(raw(url, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")) in ([431], [])
    many = start + b"X: a\r\n" * 5000 + b"\r\n"
    assert statuses(raw(url, many)) in ([431], [])
    assert statuses(raw(url, start + b"X: a\r\n" * 50 + b"Connection: close\r\n\r\n")) == [200]


@pytest.mark.parametrize("port", ["url", "serve_url"])
def test_a_header_without_end_after_a_body_is_cut_off_early(tilth_server, port):
    url = getattr(tilth_server, port)
    path = "/api/v1/p/default/runs" if port == "url" else "/p/default/deployments/none/invocations"
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {tilth_server.token}\r\n"
    chunks = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: "
    assert statuses(raw(url, (head + chunks).encode() + b"a" * 5_000_000)) in ([431], [])


def test_heads_without_end_take_no_memory(tilth_server):
    pid = json.loads((tilth_server.home / "server.json").read_text())["pid"]

    def resident_mb() -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 // 1_000_000

    before = resident_mb()
    for _ in range(20):
        raw(tilth_server.url, b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: a\r\n" * 500_000)
    assert resident_mb() - before < 60
    assert httpx.get(f"{tilth_server.url}/api/v1/health").status_code == 200


class Impatient:
    """The connections of the control process with a patience of tenths of a second, before an app that reads bodies."""

    def __init__(self) -> None:
        from tilth.app.connections import BoundedConnection, Patience
        from tilth.app.server import ControlServer, bind

        class Hasty(BoundedConnection):
            patience = Patience(head=0.3, first=0.3, silence=0.3, reading=0.3)

        self._socket = bind("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(_reads_and_answers, http=Hasty, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server = ControlServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def closes(self, data: bytes) -> bool:
        """Whether it ends a connection on which this comes and nothing more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as connection:
            connection.sendall(data)
            try:
                while connection.recv(65536):
                    pass
            except TimeoutError:
                return False
            except ConnectionResetError:
                return True
            return True

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


async def _reads_and_answers(scope, receive, send):
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_a_client_that_takes_for_ever_is_let_go_by_the_control_process():
    server = Impatient()
    try:
        for slow in (
            b"",
            b"GET / HTT",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        ):
            assert server.closes(slow), slow
        brisk = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = raw(f"http://127.0.0.1:{server.port}", brisk, until=lambda received: received.endswith(b"ok"))
        assert statuses(answer) == [200]
    finally:
        server.stop()


@pytest.mark.parametrize("port", ["url", "serve_url"])
def test_two_hundred_slow_clients_keep_nobody_waiting(tilth_server, port):
    url = getattr(tilth_server, port)
    where = urlsplit(url)
    slow = [socket.create_connection((where.hostname, where.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        path = "/api/v1/health" if port == "url" else "/health/live"
        assert httpx.get(url + path, timeout=10).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_compressed_bodies_are_unpacked_to_the_bound_of_the_deployment_and_by_control_not_at_all(deployed, client):
    import gzip

    bomb = gzip.compress(b"[" + b"0," * 5_000_000 + b"0]")
    assert deployed.post(INVOKE, content=bomb, headers={"content-encoding": "gzip"}).status_code == 413
    run = done(client.post(f"{API}/runs", json={}))["id"]
    assert client.post(f"{API}/runs/{run}/log", content=bomb, headers={"content-encoding": "gzip"}).status_code == 400
    kept = client.put(f"{API}/runs/{run}/artifacts/b.gz", content=bomb, headers={"content-encoding": "gzip"})
    assert done(kept)["size"] == len(bomb)
    assert client.get(f"{API}/runs/{run}/artifacts/b.gz").content == bomb
    assert deployed.post(INVOKE, content=GOOD).status_code == 200


def test_only_a_token_of_the_project_with_the_scope_predicts(tilth_server, deployed, client):
    def status(**fields: object) -> int:
        secret = done(client.post("/api/v1/tokens", json={"name": "t", **fields}))["secret"]

        def settled() -> int:
            answer = deployed.post(INVOKE, content=GOOD, headers={"authorization": f"Bearer {secret}"})
            return 0 if "predict" in fields["scopes"] and answer.status_code == 401 else answer.status_code  # type: ignore[operator]

        return int(wait_for(settled))

    assert client.post("/api/v1/projects", json={"name": "elsewhere"}).status_code == 201
    assert status(scopes=["read", "write", "manage"]) == 401
    assert status(scopes=["predict"], project="elsewhere") == 404
    assert status(scopes=["predict"], project="default") == 200
    for wrong in ("", "Bearer", "Bearer x", f"Basic {tilth_server.token}", f"Bearer {tilth_server.token}x"):
        assert deployed.post(INVOKE, content=GOOD, headers={"authorization": wrong}).status_code == 401
    foreign = {"sec-fetch-site": "cross-site"}
    assert deployed.post(INVOKE, content=GOOD, headers=foreign).status_code == 403


def test_a_revoked_token_predicts_for_five_seconds_more_at_most(deployed, client):
    made = done(client.post("/api/v1/tokens", json={"name": "t", "scopes": ["predict"]}))
    headers = {"authorization": f"Bearer {made['secret']}"}
    wait_for(lambda: deployed.post(INVOKE, content=GOOD, headers=headers).status_code == 200)
    done(client.delete(f"/api/v1/tokens/{made['token']['id']}"))
    wait_for(lambda: deployed.post(INVOKE, content=GOOD, headers=headers).status_code == 401, seconds=5)
    assert deployed.post(INVOKE, content=GOOD).status_code == 200


def test_an_odd_address_of_a_prediction_leads_nowhere(tilth_server, deployed):
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {tilth_server.token}\r\nContent-Type: application/json\r\n"
    head += f"Connection: close\r\nContent-Length: {len(GOOD)}\r\n\r\n"

    def status(target: str) -> int:
        return statuses(raw(tilth_server.serve_url, f"POST {target} HTTP/1.1\r\n{head}".encode() + GOOD))[0]

    for target in (
        "/p/default/deployments/attacked%2Finvocations",
        "/p/default/../default/deployments/attacked/invocations",
        "//p/default/deployments/attacked/invocations",
        INVOKE + "/",
        INVOKE + "%00",
        "/p/%00/deployments/attacked/invocations",
        "/p/" + "a" * 20_000 + "/deployments/attacked/invocations",
    ):
        assert status(target) == 404, target
    assert status(INVOKE) == status(INVOKE + "?x=1") == 200


def test_an_unknown_category_costs_no_more_than_a_known_one_should(deployed):
    for word in ("N12345", "N0000", "x" * 100_000, "N00001" * 6, "\x00", "\u00e9" * 50):
        answer = deployed.post(INVOKE, json={"instances": [[1, 2, word]]})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "unseen_category"
        assert len(answer.content) < 1000
    assert deployed.post(INVOKE, content=GOOD).status_code == 200


NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(10**18, 10**400), st.booleans(), st.none(), st.text(max_size=5))
CELLS = st.recursive(
    NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=4
)
WORDS = st.one_of(st.sampled_from(["N00001", "N00199", "", "n00001"]), CELLS)
ROWS = st.one_of(st.tuples(CELLS, CELLS, WORDS), st.lists(CELLS, max_size=4))
NAMES = st.lists(st.sampled_from(["a", "b", "word", "c", ""]), max_size=4)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "word", "x"]), CELLS)
BODIES = st.one_of(
    st.builds(lambda rows: {"instances": rows}, st.lists(ROWS, max_size=4)),
    st.builds(
        lambda rows: {"dataframe_records": rows},
        st.lists(st.dictionaries(st.sampled_from(["a", "b", "word", "x"]), CELLS), max_size=3),
    ),
    st.builds(lambda names, rows: {"dataframe_split": {"columns": names, "data": rows}}, NAMES, st.lists(ROWS, max_size=3)),
    st.builds(
        lambda columns: {"inputs": columns}, st.dictionaries(st.sampled_from(["a", "b", "word"]), st.lists(CELLS, max_size=3))
    ),
    st.builds(
        lambda body, more: {**body, **more}, st.just({"instances": []}), st.dictionaries(st.text(max_size=10), CELLS, max_size=2)
    ),
    CELLS,
)


@given(body=BODIES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_body_of_the_grammar_is_answered(deployed, body):
    answer = deployed.post(INVOKE, content=json.dumps(body).encode())
    assert answer.status_code in (200, 400), (body, answer.text)
    if answer.status_code == 200:
        assert all(isinstance(value, float) for value in answer.json()["predictions"])


@given(body=st.binary(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_bytes_that_are_no_json_are_refused(deployed, body):
    assert deployed.post(INVOKE, content=body).status_code == 400


def test_a_log_holds_one_line_for_one_event_whatever_names_hold(tilth_server, client):
    marks = ["forged%0a2026-01-01 00:00:00,000 ERROR tilth.http: forged", "%1b[2Jforged"]
    for mark in marks:
        assert client.get(f"{API}/runs/{mark}").status_code == 404
        assert client.get(f"/p/default/runs/{mark}").status_code == 404
        httpx.get(f"{tilth_server.serve_url}/p/{mark}/deployments/x/ready")
    assert client.get(f"{API}/runs").status_code == 200
    for log in (tilth_server.home / "logs").iterdir():
        assert b"forged" not in log.read_bytes()
        assert b"\x1b" not in log.read_bytes()
