"""A/B tests over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

BASE = "/api/v1/p/default/deployments/d"
DESIGN: dict[str, Any] = {"arms": [{"version": 1, "percent": 50}, {"version": 2, "percent": 50}], "effect": 0.05, "baseline": 0.3}


@pytest.fixture
def client(app_client: httpx.Client, register: Callable[[str], int]) -> httpx.Client:
    register("a")
    register("b")
    assert app_client.put(BASE, json={"model": "m", "version": 1}).status_code == 200
    return app_client


def test_a_test_goes_from_draft_to_conclusion(client: httpx.Client) -> None:
    made = client.post(f"{BASE}/ab", json=DESIGN | {"hypothesis": "more frost is seen"})
    assert made.status_code == 201, made.text
    assert (made.json()["number"], made.json()["state"], made.json()["evidence"]) == (1, "draft", None)
    assert made.json()["planned"] > 1000
    assert client.post(f"{BASE}/ab/1/start").json()["state"] == "running"
    shown = client.get(f"{BASE}/ab/1").json()
    assert shown["evidence"]["verdict"]["outcome"] == "waiting"
    assert [route["share"] for route in client.get(BASE).json()["deployment"]["routes"]] == [0.5, 0.5]
    done = client.post(f"{BASE}/ab/1/conclude", json={"winner": 2, "note": "why not"}).json()
    assert (done["state"], done["winner"], done["note"]) == ("concluded", 2, "why not")
    assert client.get(BASE).json()["deployment"]["version"] == 2
    listed = client.get(f"{BASE}/ab").json()["tests"]
    assert [(test["number"], test["state"], test["winner"]) for test in listed] == [(1, "concluded", 2)]
    actions = [row["action"] for row in client.get("/api/v1/p/default/audit").json()["events"]]
    assert {"ab_test.created", "ab_test.started", "ab_test.concluded"} <= set(actions)


def test_a_test_may_be_started_as_it_is_made_and_stopped(client: httpx.Client) -> None:
    assert client.post(f"{BASE}/ab", json=DESIGN | {"start": True}).json()["state"] == "running"
    assert client.put(BASE, json={"model": "m", "version": 2}).status_code == 409
    assert client.post(f"{BASE}/ab/1/stop", json={}).json()["state"] == "stopped"
    assert client.get(BASE).json()["deployment"]["version"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/ab", DESIGN | {"effect": 0}, 400),
        ("/ab", DESIGN | {"arms": []}, 400),
        ("/ab", DESIGN | {"arms": [{"version": 1, "percent": 50}, {"version": 99, "percent": 50}]}, 404),
        ("/ab", DESIGN | {"metric": "clicks"}, 400),
        ("/ab/1/start", None, 404),
        ("/ab/0/start", None, 404),
        ("/ab/99999999999999999999/stop", {}, 404),
        ("/ab/1/conclude", {}, 404),
    ],
)
def test_what_cannot_be_is_refused(client: httpx.Client, path: str, body: Any, status: int) -> None:
    assert client.post(f"{BASE}{path}", json=body).status_code == status


def test_a_draft_cannot_be_concluded(client: httpx.Client) -> None:
    client.post(f"{BASE}/ab", json=DESIGN)
    refused = client.post(f"{BASE}/ab/1/conclude", json={})
    assert refused.status_code == 409
    assert "A/B test 1 is a draft; only one that is running or stopped can do that" in refused.text
