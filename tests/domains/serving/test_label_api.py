"""Labels over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tilth.core.ids import new_id

BASE = "/api/v1/p/default/deployments"


@pytest.fixture
def deployed(app_client: httpx.Client, register: Callable[[str], int]) -> str:
    register("a")
    assert app_client.put(f"{BASE}/d", json={"model": "m"}).status_code == 200
    return f"{BASE}/d/labels"


def log(client: httpx.Client, path: str, *rows: dict[str, Any]) -> httpx.Response:
    return client.post(path, json={"labels": list(rows)})


def test_labels_are_kept_once_and_corrected(app_client: httpx.Client, deployed: str) -> None:
    ids = [new_id() for _ in range(2_500)]
    answer = log(app_client, deployed, *({"prediction_id": id_, "label": 1} for id_ in (*ids, ids[0])))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "received": 2501, "new": 2500, "unchanged": 0, "corrected": 0, "repeated": 1, "matched": 0, "waiting": 2500,
    }  # fmt: skip
    again = log(app_client, deployed, {"prediction_id": ids[0], "label": 1}, {"prediction_id": ids[1], "label": 0})
    assert (again.json()["unchanged"], again.json()["corrected"]) == (1, 1)
    history = app_client.get(f"{deployed}/{ids[1]}.0").json()
    assert [(each["label"], each["replaced"] is None) for each in history] == [("0", True), ("1", False)]
    assert app_client.get(f"{deployed}/{new_id()}").json() == []
    actions = [row["action"] for row in app_client.get("/api/v1/p/default/audit").json()["events"]]
    assert actions.count("label.corrected") == 1


def test_a_bad_row_refuses_the_whole_call_with_its_place(app_client: httpx.Client, deployed: str) -> None:
    refused = log(app_client, deployed, {"prediction_id": new_id(), "label": 1}, {"prediction_id": new_id(), "label": "NaN"})
    assert refused.status_code == 422 or refused.status_code == 400
    assert "label 1: the label 'NaN' is text" in refused.json()["error"]["message"]
    assert app_client.get(f"{deployed}/coverage").json()["waiting"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b'{"labels": 3}', 400),
        (b'{"labels": [1]}', 400),
        (b'{"rows": []}', 400),
        (b'{"labels": []}', 200),
        (b"{", 400),
    ],
)
def test_bodies_are_checked(app_client: httpx.Client, deployed: str, body: bytes, status: int) -> None:
    assert app_client.post(deployed, content=body, headers={"content-type": "application/json"}).status_code == status


def test_a_key_is_declared_and_taken_back(app_client: httpx.Client, deployed: str) -> None:
    declared = app_client.put(f"{deployed}/key", json={"key": ["x", "route_key"], "window_s": 60})
    assert declared.json() == {"key": ["x", "route_key"], "window_s": 60}
    coverage = app_client.get(f"{deployed}/coverage").json()
    assert (coverage["key"], coverage["window_s"], coverage["predictions"]) == (["x", "route_key"], 60, 0)
    assert log(app_client, deployed, {"x": 1.0, "route_key": "c7", "label": 2, "at": "2026-01-31T05:00:00Z"}).json()["new"] == 1
    unknown = app_client.put(f"{deployed}/key", json={"key": ["nope"]})
    assert unknown.status_code == 400
    assert "'nope' cannot be a key of labels: it is none of x, route_key, request_id" in unknown.json()["error"]["message"]
    assert app_client.put(f"{deployed}/key", json={"key": []}).json()["key"] == []


def test_windows_in_which_nothing_can_lie_are_refused(app_client: httpx.Client, deployed: str) -> None:
    assert app_client.get(f"{deployed}/coverage", params={"days": 0}).status_code == 400
    assert app_client.get(f"{deployed}/outcomes", params={"since": 5, "until": 5}).status_code == 400
    assert app_client.get(f"{deployed}/outcomes").json()["versions"] == []
    assert app_client.get(f"{BASE}/none/labels/coverage").status_code == 404
