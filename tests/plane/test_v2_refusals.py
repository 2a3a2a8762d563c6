"""What fits no model is refused in the shape of the Open Inference Protocol, with its reason."""

from __future__ import annotations

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


NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("model", "request_body", "why"),
    [
        ("sums", b"{", "cannot be read"),
        ("sums", b"", "cannot be read"),
        ("sums", b"\xff\xfe", "cannot be read"),
        ("sums", b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": ' + b"[" * 100_000, "nested too deeply"),
        ("sums", b"[1]", "no request of the v2 protocol"),
        ("sums", b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [NaN, 1, 2, 3]}]}', "send null"),
        ("sums", NOTHING, "inputs"),
        ("sums", {"inputs": {}}, "inputs"),
        ("sums", {"inputs": []}, "'a' is missing"),
        ("sums", {"inputs": [{"name": "x"}]}, "shape"),
        ("sums", {"inputs": [{"name": "x", "shape": "2", "datatype": "FP64", "data": []}]}, "shape"),
        ("sums", {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64"}]}, "needs 'data'"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3, 4], [1, 4], "FLOAT")]}, "known are BOOL"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3, 4], [1, 4], "BF16")]}, "known are BOOL"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3], [1, 4])]}, "has 3 values"),
        ("sums", {"inputs": [tensor("x", [[1, 2, 3, 4], [1]], [2, 4])]}, "axis 1"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3, 4], [-1, 4])]}, "lengths are 0 to"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3, 4], [10**3000, 10**3000])]}, "lengths are 0 to"),
        ("sums", {"inputs": [tensor("x", [1], [1] * 40)]}, "at most 32 axes"),
        ("sums", {"inputs": [tensor("x", 1.0, [])]}, "list of values"),
        ("sums", {"inputs": [tensor("x", [1.0], [])]}, "first axis is the rows"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3], [1, 3])]}, "has 3 columns, the model takes 4"),
        ("sums", {"inputs": [tensor("x", [1, 2, 3, 4], [4])]}, "'a' is missing"),
        ("sums", {"inputs": [tensor("x", ["a", "b", "c", "d"], [1, 4])]}, "FP64 takes numbers"),
        ("sums", {"inputs": [tensor("x", ["a", "b", "c", "d"], [1, 4], "BYTES")]}, "model takes 4"),
        ("sums", {"inputs": [tensor("x", [1, None, 3, 4], [1, 4])]}, "'b', row 0: NaN"),
        ("sums", {"inputs": [*columns(1, 2, 3, 4), tensor("e", [1], [1])]}, "'e' is no input"),
        ("sums", {"inputs": columns(1, 2, 3, 4)[:3]}, "'d' is missing"),
        ("sums", {"inputs": [*columns(1, 2, 3, 4), tensor("a", [1], [1])]}, "given twice"),
        ("sums", {"inputs": [*columns(1, 2, 3, 4)[:3], tensor("d", [1, 2], [2])]}, "different numbers of rows"),
        ("sums", {"inputs": [*columns(1, 2, 3, 4)[:3], tensor("d", [1, 2], [1, 2])]}, "takes [rows] or [rows, 1]"),
        ("sums", {"inputs": [*columns(1, 2, 3, 4)[:3], tensor("d", ["x"], [1], "BYTES")]}, "'d' takes numbers"),
        ("sums", {**WIDE, "outputs": [{"name": "y", "parameters": {"classification": 3}}]}, "classification"),
        ("sums", {**WIDE, "id": 5}, "id"),
        ("flights", {"inputs": [tensor("x", [1, 2, 3], [1, 3])]}, "cannot carry text ('origin')"),
        ("reviews", {"inputs": [tensor("review", ["x"], [1], "BYTES"), tensor("stars", [1.5], [1])]}, "is no whole number"),
        ("reviews", {"inputs": [tensor("review", ["x"], [1], "BYTES"), tensor("stars", [2**60], [1], "INT64")]}, "2**53"),
    ],
)
def test_requests_that_fit_no_model_are_refused_with_the_reason(stand: Stand, model: str, request_body: Any, why: str) -> None:
    refused(infer(stand, model, request_body), 400, why)


def flight(**other: dict[str, Any]) -> dict[str, Any]:
    usual = {
        "wind": tensor("wind", [1.0], [1]),
        "hour": tensor("hour", [1], [1], "INT64"),
        "origin": tensor("origin", ["JFK"], [1], "BYTES"),
    }
    return {"inputs": list({**usual, **other}.values())}


@pytest.mark.parametrize(
    ("request_body", "why"),
    [
        (flight(origin=tensor("origin", ["SFO"], [1], "BYTES")), "'SFO' was not seen in training"),
        (flight(origin=tensor("origin", [1], [1], "INT64")), "send a tensor of BYTES"),
        (flight(hour=tensor("hour", ["7"], [1], "BYTES")), "'hour' takes numbers"),
        (flight(hour=tensor("hour", [None], [1])), "'hour', row 0: NaN"),
        (flight(hour=tensor("hour", [True], [1], "BOOL")), "'hour' takes numbers"),
        (flight(wind=tensor("wind", [1.0], [1, 1, 1])), "takes [rows] or [rows, 1]"),
    ],
)
def test_values_that_their_columns_do_not_take_are_refused(stand: Stand, request_body: Any, why: str) -> None:
    refused(infer(stand, "flights", request_body), 400, why)


def test_infinity_is_no_value_of_a_column(stand: Stand) -> None:
    raw = np.array([1, np.inf, 2, 3]).tobytes()
    refused(binary(stand, head(32), raw), 400, "'b', row 0: inf")


def picture(**other: dict[str, Any]) -> dict[str, Any]:
    usual = {
        "picture": tensor("picture", [0.0] * 4, [1, 2, 2], "FP32"),
        "mask": tensor("mask", [True], [1], "BOOL"),
        "caption": tensor("caption", ["x"], [1, 1], "BYTES"),
    }
    return {"inputs": list({**usual, **other}.values())}


@pytest.mark.parametrize(
    ("request_body", "why"),
    [
        (picture(picture=tensor("picture", [0.0] * 4, [1, 2, 2], "FP64")), "is of float64, the model takes float32"),
        (picture(picture=tensor("picture", [0.0] * 3, [1, 3, 1], "FP32")), "the model takes [-1, 2, -1]"),
        (picture(mask=tensor("mask", [True, False], [2], "BOOL")), "different numbers of rows"),
        (picture(mask=tensor("mask", [1], [1], "UINT8")), "the model takes bool"),
        (picture(caption=tensor("caption", [None], [1, 1], "BYTES")), "holds null"),
        (picture(other=tensor("other", [1], [1], "UINT8")), "'other' is no input"),
    ],
)
def test_tensors_that_the_model_does_not_take_are_refused(stand: Stand, request_body: Any, why: str) -> None:
    refused(infer(stand, "pictures", request_body), 400, why)


def test_errors_outside_the_model_have_the_protocols_shape_too(stand: Stand) -> None:
    refused(stand.send("POST", f"{V2}/models/sums/infer", WIDE, {"Authorization": ""}), 401)
    refused(stand.send("GET", f"{V2}/models/sums/infer"), 405)
    refused(stand.send("GET", f"{V2}/models/sums/stats"), 404, "statistics")
    refused(stand.send("GET", "/p/other/v2"), 404)
    refused(infer(stand, "sums", b" " * (MAX_BODY_BYTES + 1)), 413)
    refused(stand.send("POST", f"{V2}/repository/index", b" " * 100_000), 413)


def test_a_giant_batch_is_answered_whole(stand: Stand) -> None:
    raw = np.ones((9000, 4), dtype="<f8").tobytes()
    reply = binary(stand, {**head(len(raw), [9000, 4]), "parameters": {"binary_data_output": True}}, raw)
    length = int(reply.headers["inference-header-content-length"])
    assert (np.frombuffer(reply.body[length:]) == 104.0).sum() == 9000
