"""Artifact paths as they arrive on a socket, where no client tidies them up."""

from __future__ import annotations

import http.client
from typing import Any

import tilth

CLIMBING = [
    "../a",
    "a/../b",
    "%2e%2e/a",
    "a%2f..%2fb",
    "a//b",
    "a/./b",
    "a%5cb",
    "a%00b",
    "a%0ab",
    "a/",
    "%ff",
    "%252e%252e%2fa/",
    "a%2fb",
]


def put(live: Any, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", live.port)
    connection.request("PUT", path, body=b"x", headers={"authorization": f"Bearer {live.token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_path_that_climbs_or_hides_is_refused_and_its_legal_twin_is_kept(live: Any) -> None:
    with tilth.run() as run:
        files = f"/api/v1/p/default/runs/{run.id}/artifacts"
        assert {path: put(live, f"{files}/{path}") for path in CLIMBING} == dict.fromkeys(CLIMBING, 400)
        assert put(live, f"{files}/a/b%2e%2e.txt") == 200
