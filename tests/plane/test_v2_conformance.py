"""The Open Inference Protocol as an outsider would check it from its text, and with the bytes that Triton's clients send."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.plane.protocol_stand import MAX_BODY_BYTES, Stand
from tests.plane.v2_steps import V2, WIDE, binary, columns, head, infer, refused, tensor


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("v2"))
    yield made
    made.close()


# Health and metadata.


def test_the_server_says_that_it_is_live_and_ready_without_a_token(stand: Stand) -> None:
    assert stand.send("GET", "/v2/health/live", headers={"Authorization": ""}).status == 200
    assert stand.send("GET", "/v2/health/ready", headers={"Authorization": ""}).status == 503
    assert stand.send("GET", f"{V2}/health/live").status == 200


def test_a_project_is_ready_once_all_its_deployments_are(stand: Stand) -> None:
    refused(stand.send("GET", f"{V2}/health/ready"), 503, "'absent' is loading")
    assert stand.send("GET", "/p/demo/deployments/sums/v2/health/ready").status == 200


def test_the_server_names_itself_and_its_extensions(stand: Stand) -> None:
    body = stand.send("GET", V2).json()
    assert set(body) == {"name", "version", "extensions"}
    assert body["name"] == "tilth"
    assert {"binary_tensor_data", "model_repository"} <= set(body["extensions"])


def test_a_model_names_its_versions_platform_inputs_and_outputs(stand: Stand) -> None:
    body = stand.send("GET", f"{V2}/models/flights").json()
    assert (body["name"], body["versions"]) == ("flights", ["1"])
    assert body["platform"]
    assert body["inputs"] == [
        {"name": "wind", "datatype": "FP64", "shape": [-1]},
        {"name": "hour", "datatype": "INT64", "shape": [-1]},
        {"name": "origin", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [(each["name"], each["datatype"]) for each in body["outputs"]] == [
        ("speed", "FP64"),
        ("afternoon", "BOOL"),
        ("from", "BYTES"),
    ]


def test_a_model_of_tensors_tells_their_shapes(stand: Stand) -> None:
    body = stand.send("GET", f"{V2}/models/pictures").json()
    assert body["inputs"][0] == {"name": "picture", "datatype": "FP32", "shape": [-1, 2, -1]}
    assert body["outputs"][0] == {"name": "embedding", "datatype": "FP32", "shape": [-1, 3]}


def test_models_and_versions_tell_whether_they_are_ready(stand: Stand) -> None:
    for path, status in (
        ("sums/ready", 200),
        ("sums/versions/1/ready", 200),
        ("sums/versions/2", 200),
        ("absent/ready", 503),
        ("absent", 503),
        ("sums/versions/3/ready", 404),
        ("nobody/ready", 404),
        ("nobody", 404),
    ):
        assert stand.send("GET", f"{V2}/models/{path}").status == status, path
    assert stand.send("GET", f"{V2}/models/sums").json()["versions"] == ["1", "2"]


def test_the_repository_lists_all_models_and_their_states(stand: Stand) -> None:
    rows = stand.send("POST", f"{V2}/repository/index", {}).json()
    assert {(row["name"], row["version"], row["state"]) for row in rows} == {
        ("sums", "1", "READY"),
        ("sums", "2", "READY"),
        ("flights", "1", "READY"),
        ("pictures", "1", "READY"),
        ("reviews", "1", "READY"),
        ("absent", "1", "LOADING"),
    }
    assert all(set(row) == {"name", "version", "state", "reason"} for row in rows)
    ready = stand.send("POST", f"{V2}/repository/index", {"ready": True}).json()
    assert "absent" not in {row["name"] for row in ready}
    assert stand.send("POST", f"{V2}/repository/index", b"").json() == rows
    refused(stand.send("POST", f"{V2}/repository/index", b"{"), 400)
    packed = {"Content-Encoding": "gzip"}
    assert stand.send("POST", f"{V2}/repository/index", gzip.compress(b'{"ready": true}'), packed).json() == ready
    refused(stand.send("POST", f"{V2}/repository/index", gzip.compress(bytes(100_000)), packed), 413)


def test_loading_what_serves_is_done_already_and_unloading_is_refused(stand: Stand) -> None:
    assert stand.send("POST", f"{V2}/repository/models/sums/load", {}).status == 200
    refused(stand.send("POST", f"{V2}/repository/models/absent/load", {}), 400, "is loading")
    refused(stand.send("POST", f"{V2}/repository/models/sums/unload", {}), 400, "tilth deployment delete sums")
    refused(stand.send("POST", f"{V2}/repository/models/nobody/load", {}), 404)


# Inference.


def test_one_tensor_of_all_columns_is_answered_by_a_model_of_numbers(stand: Stand) -> None:
    reply = infer(stand, "sums", {**WIDE, "id": "order-7"})
    body = reply.json()
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert (body["model_name"], body["model_version"], body["id"]) == ("sums", "2", "order-7")
    assert body["outputs"] == [{"name": "y", "datatype": "FP64", "shape": [2], "data": [110.0, 126.0]}]
    assert reply.headers["x-prediction-id"] == body["parameters"]["prediction_id"]


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "INT64", "UINT8", "UINT32"])
def test_the_wide_tensor_may_be_of_any_type_of_number(stand: Stand, datatype: str) -> None:
    reply = infer(stand, "sums", {"inputs": [tensor("predict", [[1, 2, 3, 4]], [1, 4], datatype)]})
    assert reply.json()["outputs"][0]["data"] == [110.0]


def test_a_tensor_for_each_column_in_any_order(stand: Stand) -> None:
    assert infer(stand, "sums", {"inputs": columns(1, 2, 3, 4)[::-1]}).json()["outputs"][0]["data"] == [110.0]
    tall = [tensor(name, [1, 2], [2, 1]) for name in "abcd"]
    assert infer(stand, "sums", {"inputs": tall}).json()["outputs"][0]["data"] == [104.0, 108.0]


def test_an_address_with_a_version_is_answered_by_that_version(stand: Stand) -> None:
    reply = infer(stand, "sums", WIDE, "/versions/1")
    assert reply.json()["outputs"][0]["data"] == [10.0, 26.0]
    assert (reply.json()["model_version"], reply.headers["x-model-version"]) == ("1", "1")
    refused(infer(stand, "sums", WIDE, "/versions/9"), 404)
    refused(infer(stand, "sums", WIDE, "/versions/one"), 404)
    refused(infer(stand, "nobody", WIDE), 404, "'nobody'")
    refused(infer(stand, "absent", WIDE), 503, "is loading")


def test_columns_of_all_types_go_in_and_out(stand: Stand) -> None:
    inputs = [
        tensor("wind", [1.5, None], [2]),
        tensor("hour", [11, 12], [2], "INT64"),
        tensor("origin", ["JFK", "LGA"], [2], "BYTES"),
    ]
    outputs = infer(stand, "flights", {"inputs": inputs}).json()["outputs"]
    assert [(each["name"], each["datatype"], each["shape"], each["data"]) for each in outputs] == [
        ("speed", "FP64", [2], [1.5, None]),
        ("afternoon", "BOOL", [2], [False, True]),
        ("from", "BYTES", [2], ["JFK", "LGA"]),
    ]


def test_only_the_outputs_that_were_asked_for_come_in_that_order(stand: Stand) -> None:
    inputs = [tensor("wind", [1.0], [1]), tensor("hour", [1], [1], "INT32"), tensor("origin", ["JFK"], [1], "BYTES")]
    body = infer(stand, "flights", {"inputs": inputs, "outputs": [{"name": "from"}, {"name": "speed"}]}).json()
    assert [each["name"] for each in body["outputs"]] == ["from", "speed"]
    refused(infer(stand, "flights", {"inputs": inputs, "outputs": [{"name": "fron"}]}), 400, "'fron'", "'from'")
    refused(infer(stand, "flights", {"inputs": inputs, "outputs": [{"name": "from"}] * 2}), 400, "twice")


def test_tensors_of_several_axes_go_in_and_out(stand: Stand) -> None:
    inputs = [
        tensor("picture", [[[1, 3], [1, 3]], [[2, 2], [4, 4]]], [2, 2, 2], "FP32"),
        tensor("mask", [True, False], [2], "BOOL"),
        tensor("caption", ["one", "zwölf"], [2, 1], "BYTES"),
    ]
    first, second = infer(stand, "pictures", {"inputs": inputs}).json()["outputs"]
    assert (first["shape"], first["datatype"], first["data"]) == ([2, 3], "FP32", [-2.0] * 3 + [3.0] * 3)
    assert (second["shape"], second["data"]) == ([2], ["ONE", "ZWÖLF"])


def test_free_text_goes_in(stand: Stand) -> None:
    inputs = [tensor("review", ["good", None], [2], "BYTES"), tensor("stars", [5, 1], [2], "INT64")]
    assert infer(stand, "reviews", {"inputs": inputs}).json()["outputs"][0]["data"] == [20, 0]


def test_no_rows_are_answered_by_no_rows(stand: Stand) -> None:
    assert infer(stand, "sums", {"inputs": [tensor("x", [], [0, 4])]}).json()["outputs"][0] == {
        "name": "y",
        "datatype": "FP64",
        "shape": [0],
        "data": [],
    }
    inputs = [tensor("picture", [], [0, 2, 2], "FP32"), tensor("mask", [], [0], "BOOL"), tensor("caption", [], [0, 1], "BYTES")]
    assert infer(stand, "pictures", {"inputs": inputs}).json()["outputs"][0]["shape"] == [0, 3]


def test_fields_and_parameters_that_are_unknown_do_not_matter(stand: Stand) -> None:
    request = {"inputs": [{**WIDE["inputs"][0], "parameters": {"content_type": "np"}}], "parameters": {"priority": 1}, "x": 1}
    assert infer(stand, "sums", request).status == 200


def test_an_empty_id_comes_back_empty(stand: Stand) -> None:
    assert infer(stand, "sums", {**WIDE, "id": ""}).json()["id"] == ""


def test_an_id_is_made_where_none_is_given(stand: Stand) -> None:
    reply = infer(stand, "sums", WIDE)
    assert reply.json()["id"] == reply.headers["x-prediction-id"]


# Binary tensors.


def test_binary_tensors_go_in_and_json_comes_out(stand: Stand) -> None:
    raw = np.arange(8, dtype="<f4").tobytes()
    head = {"name": "x", "shape": [2, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    reply = binary(stand, {"inputs": [head]}, raw)
    assert reply.json()["outputs"][0]["data"] == [106.0, 122.0]
    assert "inference-header-content-length" not in reply.headers


def test_binary_outputs_come_back_behind_the_json(stand: Stand) -> None:
    for request in (
        {**WIDE, "parameters": {"binary_data_output": True}},
        {**WIDE, "outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
    ):
        reply = infer(stand, "sums", request)
        length = int(reply.headers["inference-header-content-length"])
        (output,) = json.loads(reply.body[:length])["outputs"]
        assert reply.headers["content-type"] == "application/octet-stream"
        assert output == {"name": "y", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}}
        assert np.frombuffer(reply.body[length:], "<f8").tolist() == [110.0, 126.0]


def test_an_output_may_be_json_among_binary_ones(stand: Stand) -> None:
    inputs = [tensor("wind", [1.0], [1]), tensor("hour", [1], [1], "INT64"), tensor("origin", ["JFK"], [1], "BYTES")]
    outputs = [{"name": "speed"}, {"name": "from"}, {"name": "afternoon", "parameters": {"binary_data": False}}]
    reply = infer(stand, "flights", {"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": True}})
    length = int(reply.headers["inference-header-content-length"])
    speed, origin, afternoon = json.loads(reply.body[:length])["outputs"]
    assert speed["parameters"]["binary_data_size"] == 8
    assert origin["parameters"]["binary_data_size"] == 7
    assert afternoon["data"] == [False]
    assert reply.body[length:] == struct.pack("<d", 1.0) + struct.pack("<I", 3) + b"JFK"


def test_binary_and_json_tensors_mix_in_one_request(stand: Stand) -> None:
    raw = struct.pack("<q", 12) + struct.pack("<I", 3) + b"EWR"
    inputs = [
        tensor("wind", [2.5], [1]),
        {"name": "hour", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}},
        {"name": "origin", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": 7}},
    ]
    outputs = binary(stand, {"inputs": inputs}, raw, "flights").json()["outputs"]
    assert [each["data"] for each in outputs] == [[2.5], [True], ["EWR"]]


@pytest.mark.parametrize(
    ("request_head", "raw", "length", "why"),
    [
        (head(32), bytes(31), None, "says 32 bytes, and 31 are left"),
        (head(32), bytes(33), None, "33 bytes follow the JSON, its tensors take 32"),
        (head(31), bytes(31), None, "FP64 of the shape [1, 4] takes 32"),
        (head(-1), bytes(32), None, "must be a whole number of bytes"),
        (head("32"), bytes(32), None, "must be a whole number of bytes"),
        (head(2**70), bytes(32), None, "and 32 are left"),
        (head(32, [2**31, 2**31]), bytes(32), None, "takes"),
        (head(4, [1], "BYTES"), struct.pack("<I", 2**31), None, "and 0 are left"),
        (head(3, [1], "BYTES"), b"abc", None, "ends within the length"),
        (head(32), bytes(32), 10_000, "says 10000 bytes of JSON"),
        (head(32), bytes(32), 3, "cannot be read"),
        (head(32), bytes(32), 0, "cannot be read"),
    ],
)
def test_binary_lengths_that_lie_are_refused(stand: Stand, request_head: Any, raw: bytes, length: int | None, why: str) -> None:
    refused(binary(stand, request_head, raw, length=length), 400, why)


def test_a_header_length_that_is_no_number_is_refused(stand: Stand) -> None:
    for value in ("-1", "many", "1e3", "9" * 20):
        refused(infer(stand, "sums", WIDE, Inference_Header_Content_Length=value), 400, "inference-header-content-length")


def test_binary_tensors_without_the_header_are_told_about_it(stand: Stand) -> None:
    refused(infer(stand, "sums", json.dumps(head(32)).encode() + bytes(32)), 400, "Inference-Header-Content-Length")


# Compression.


@pytest.mark.parametrize(
    ("coding", "pack", "unpack"), [("gzip", gzip.compress, gzip.decompress), ("deflate", zlib.compress, zlib.decompress)]
)
def test_bodies_are_compressed_both_ways(stand: Stand, coding: str, pack: Any, unpack: Any) -> None:
    body = pack(json.dumps(WIDE).encode())
    reply = infer(stand, "sums", body, Content_Encoding=coding, Accept_Encoding=coding)
    assert reply.headers["content-encoding"] == coding
    assert json.loads(unpack(reply.body))["outputs"][0]["data"] == [110.0, 126.0]
    assert "content-encoding" not in infer(stand, "sums", WIDE, Accept_Encoding="gzip, deflate, br").headers


def test_the_older_name_of_gzip_is_known(stand: Stand) -> None:
    body = gzip.compress(json.dumps(WIDE).encode())
    assert infer(stand, "sums", body, Content_Encoding="x-gzip").status == 200


def test_compressed_bodies_that_are_none_or_too_much_are_refused(stand: Stand) -> None:
    whole = gzip.compress(json.dumps(WIDE).encode())
    refused(infer(stand, "sums", WIDE, Content_Encoding="gzip"), 400, "is not gzip")
    refused(infer(stand, "sums", whole[:-9], Content_Encoding="gzip"), 400, "ends before")
    refused(infer(stand, "sums", zlib.compress(b"{}") + b"x", Content_Encoding="deflate"), 400, "bytes follow")
    refused(infer(stand, "sums", WIDE, Content_Encoding="br"), 415, "'br'")
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < MAX_BODY_BYTES
    refused(infer(stand, "sums", bomb, Content_Encoding="gzip"), 413, "once it is unpacked")
    several = b"".join(gzip.compress(part) for part in (b'{"inputs": ', json.dumps(WIDE["inputs"]).encode(), b"}"))
    assert infer(stand, "sums", several, Content_Encoding="gzip").status == 200
    crowd = gzip.compress(b"") * 2000 + several
    refused(infer(stand, "sums", crowd, Content_Encoding="gzip"), 400, "gzip members")


def test_what_unpacks_to_more_than_the_loop_may_read_is_read_aside(stand: Stand) -> None:
    padded = b" " * 200_000 + json.dumps(WIDE).encode()
    assert infer(stand, "sums", gzip.compress(padded), Content_Encoding="gzip").json()["outputs"][0]["data"] == [110.0, 126.0]
