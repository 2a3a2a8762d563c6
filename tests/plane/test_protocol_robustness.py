"""Whatever bytes come, a client is told what is wrong with them, and the worker serves on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plane.protocol_stand import SIGNATURES, Reply, Stand, authorized

from tilth.core.errors import Invalid
from tilth.plane.arrays import encoder_of
from tilth.plane.protocols import CODECS, Content
from tilth.plane.protocols.reading import FrameReader
from tilth.plane.serving import LoadedVersion
from tilth.wire.models import ModelDocument
from tilth.wire.predictions import PredictionFrame

INFER = "/p/demo/v2/models/sums/infer"
WIDE: dict[str, Any] = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("robust"))
    yield made
    made.close()


# The codecs, without a socket.

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["x", *sorted({given.name for signature in SIGNATURES.values() for given in (*signature.inputs, *signature.tensors)})]
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES) | JSON_VALUES,
        "shape": st.lists(st.integers(-1, 5), max_size=4) | JSON_VALUES,
        "datatype": st.sampled_from(["BOOL", "INT8", "UINT64", "FP16", "FP32", "FP64", "BYTES", "BF16"]) | JSON_VALUES,
    },
    optional={
        "data": st.lists(JSON_VALUES, max_size=6) | JSON_VALUES,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40) | JSON_VALUES}) | JSON_VALUES,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | JSON_VALUES},
    optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "parameters": JSON_VALUES},
)
FORMS = st.dictionaries(
    st.sampled_from(["instances", "inputs", "dataframe_split", "dataframe_records", "params"]),
    st.lists(st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=5), max_size=3)
    | st.dictionaries(st.sampled_from(NAMES), st.lists(JSON_VALUES, max_size=3), max_size=5)
    | JSON_VALUES,
    max_size=2,
)
MODELS = st.sampled_from(sorted(SIGNATURES))


def decoded(codec: str, model: str, body: bytes, content: Content) -> None:
    """Reads and encodes as a request is, and raises only what a caller is told."""
    signature = SIGNATURES[model]
    try:
        asked = CODECS[codec].read(body, content, signature)
        inputs = encoder_of(signature).encode(asked.given)
    except Invalid:
        return
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs.values())
    assert len({len(array) for array in arrays}) == 1


@given(MODELS, REQUESTS, st.binary(max_size=40), st.integers(-3, 3), st.booleans())
def test_requests_of_v2_are_read_or_refused(model: str, request_body: Any, raw: bytes, off: int, framed: bool) -> None:
    header = json.dumps(request_body).encode()
    length = max(0, len(header) + off) if framed else None
    decoded("v2", model, header + raw, Content("application/json", length))


@given(MODELS, FORMS)
def test_forms_of_mlflow_and_v1_are_read_or_refused(model: str, form: Any) -> None:
    body = json.dumps(form).encode()
    decoded("mlflow", model, body, Content())
    decoded("v1", model, body, Content())


@given(MODELS, st.sampled_from(["application/json", "text/csv", "application/x-parquet"]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(model: str, content_type: str, body: bytes) -> None:
    decoded("mlflow", model, body, Content(content_type))


@given(MODELS, st.text(alphabet='abcdwhorigin,\n"1.5 eNnulaJFK\r', max_size=60))
def test_any_csv_is_read_or_refused(model: str, text: str) -> None:
    header = ",".join(column.name for column in SIGNATURES[model].inputs)
    decoded("mlflow", model, f"{header}\n{text}".encode(), Content("text/csv"))


@given(MODELS, st.sampled_from(sorted(CODECS)), st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 80))
def test_frames_of_any_bytes_are_read_back_or_refused(model: str, codec: str, body: bytes, answer: bytes, length: int) -> None:
    frame = PredictionFrame("p", 0, "d", f"{model}/1", "application/json", "", body, answer, 1, codec, length, length)
    with pytest.raises(Invalid):
        FrameReader(SIGNATURES[model]).columns_of(frame)


# Connections.


def connected(stand: Stand) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stand.port), 20)


def head(path: str, body: bytes, **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in {**authorized(), **headers}.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def answers(connection: socket.socket, count: int) -> list[Reply]:
    """The next answers of a connection, in their order."""
    stream = connection.makefile("rb")
    found = []
    for _ in range(count):
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        found.append(Reply(status, headers, stream.read(int(headers["content-length"]))))
    return found


def binary_request(values: list[float]) -> tuple[bytes, int]:
    raw = np.array([values], dtype=np.float64).tobytes()
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return header + raw, len(header)


def test_pipelined_requests_of_all_protocols_are_answered_in_order(stand: Stand) -> None:
    binary, length = binary_request([1, 1, 1, 1])
    wide, rows = json.dumps(WIDE).encode(), b'{"instances": [[1, 2, 3, 4]]}'
    sent = [
        head(INFER, wide) + wide,
        head(INFER, binary, Inference_Header_Content_Length=str(length)) + binary,
        head("/p/demo/v1/models/sums:predict", rows) + rows,
        head(INFER, b"{") + b"{",
        head("/p/demo/v2/repository/index", b"{}") + b"{}",
        head("/p/demo/deployments/sums/invocations", rows, Content_Type="application/json") + rows,
    ]
    with connected(stand) as connection:
        connection.sendall(b"".join(sent))
        replies = answers(connection, len(sent))
    assert [reply.status for reply in replies] == [200, 200, 200, 400, 200, 200]
    assert np.frombuffer(replies[1].body[int(replies[1].headers["inference-header-content-length"]) :]).tolist() == [104.0]
    assert replies[2].json()["predictions"] == replies[5].json()["predictions"] == [110.0]


def test_a_client_that_closes_its_half_still_gets_its_answer(stand: Stand) -> None:
    binary, length = binary_request([1, 2, 3, 4])
    with connected(stand) as connection:
        connection.sendall(head(INFER, binary, Inference_Header_Content_Length=str(length)) + binary)
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection, 1)[0].status == 200
        assert connection.recv(1) == b""


def test_a_body_that_comes_byte_by_byte_is_one_body(stand: Stand) -> None:
    binary, length = binary_request([1, 2, 3, 4])
    with connected(stand) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (head(INFER, binary, Inference_Header_Content_Length=str(length)), *(bytes([each]) for each in binary)):
            connection.sendall(piece)
        assert answers(connection, 1)[0].status == 200


def test_a_client_that_leaves_within_its_body_harms_nobody(stand: Stand) -> None:
    wide = json.dumps(WIDE).encode()
    for keep in (10, len(wide) - 1):
        with connected(stand) as connection:
            connection.sendall(head(INFER, wide) + wide[:keep])
    assert stand.send("POST", INFER, WIDE).status == 200


def test_a_body_above_the_bound_is_refused_in_the_protocols_shape_before_it_came(stand: Stand) -> None:
    with connected(stand) as connection:
        connection.sendall(head(INFER, b" " * 1_000_000))
        (reply,) = answers(connection, 1)
    assert reply.status == 413
    assert list(reply.json()) == ["error"]


def test_two_lengths_of_one_body_do_not_smuggle_a_request(stand: Stand) -> None:
    wide = json.dumps(WIDE).encode()
    twice = head(INFER, wide).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
    with connected(stand) as connection:
        connection.sendall(twice + wide)
        assert answers(connection, 1)[0].status == 400


def test_what_a_client_asks_behind_a_slow_answer_is_read_only_to_a_bound(stand: Stand) -> None:
    wide, version = json.dumps(WIDE).encode(), stand.core.state.served["id-sums"].versions[-1]
    with version.turn, connected(stand) as connection:
        connection.sendall(head(INFER, wide) + wide)
        connection.settimeout(1)
        # Some 24 MB: more than the sockets hold.
        with pytest.raises(TimeoutError):
            connection.sendall(b"GET /nowhere HTTP/1.1\r\n\r\n" * 1_000_000)


def test_a_client_that_closed_its_half_gets_what_was_asked_before_a_malformed_request(stand: Stand) -> None:
    wide, version = json.dumps(WIDE).encode(), stand.core.state.served["id-sums"].versions[-1]
    with connected(stand) as connection:
        with version.turn:
            connection.sendall(head(INFER, wide) + wide + b"rubbish\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
        assert [reply.status for reply in answers(connection, 2)] == [200, 400]


# Who may.


def test_every_address_asks_for_a_token_of_its_project_and_knows_its_method(stand: Stand) -> None:
    targets = stand.core.state.targets
    assert len(targets) > 50
    for address, target in targets.items():
        path = address.decode()
        body = b"{}" if target.method == "POST" else None
        assert stand.send(target.method, path, body, {"Authorization": ""}).status == 401, path
        assert stand.send(target.method, path, body, {"Authorization": "Bearer foreign"}).status == 401, path
        assert stand.send(target.method, path, body, {"Origin": "http://evil.example"}).status == 403, path
        assert stand.send("DELETE", path).status == 405, path
        assert (
            stand.send(target.method, path.replace("/p/demo/", "/p/other/").replace("/p/demo", "/p/other"), body).status == 404
        ), path


def test_who_has_no_token_is_not_told_the_names_of_deployments(stand: Stand) -> None:
    reply = stand.send("GET", "/health/ready", headers={"Authorization": ""})
    assert reply.status == 503
    assert b"loading 1 deployments" in reply.body
    assert b"absent" not in reply.body


def test_the_name_that_a_model_gives_its_engine_makes_no_headers(stand: Stand) -> None:
    given = stand.core.state.served["id-sums"]
    hostile = type("Hostile", (), {"engine": "x\r\nset-cookie: a=b", "predict": lambda self, rows: rows.sum(axis=1)})()
    document = ModelDocument("none", SIGNATURES["sums"], "predict", "none")
    assert LoadedVersion(given.spec.versions[0], document, hostile).engine_header == b"x??set-cookie: a=b"
