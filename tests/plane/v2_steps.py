"""Requests of the Open Inference Protocol, and what a refusal looks like in it."""

from __future__ import annotations

import json
from typing import Any

from tests.plane.protocol_stand import Reply, Stand

V2 = "/p/demo/v2"


def tensor(name: str, data: Any, shape: list[int], datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def columns(*values: float) -> list[dict[str, Any]]:
    return [tensor(name, [value], [1]) for name, value in zip("abcd", values, strict=True)]


def infer(stand: Stand, model: str, request: Any, path: str = "", **headers: str) -> Reply:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return stand.send("POST", f"{V2}/models/{model}{path}/infer", request, given)


def binary(stand: Stand, header: dict[str, Any], raw: bytes, model: str = "sums", length: int | None = None) -> Reply:
    text = json.dumps(header).encode()
    return infer(stand, model, text + raw, Inference_Header_Content_Length=str(len(text) if length is None else length))


def refused(reply: Reply, status: int, *words: str) -> None:
    """In the protocol's own shape."""
    assert reply.status == status, reply
    assert list(reply.json()) == ["error"]
    for word in words:
        assert word in reply.json()["error"]


def head(size: Any, shape: list[int] | None = None, datatype: str = "FP64") -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"inputs": [{"name": "x", "shape": shape or [1, 4], "datatype": datatype, "parameters": parameters}]}


WIDE = {"inputs": [tensor("input-0", [1, 2, 3, 4, 5, 6, 7, 8], [2, 4])]}
