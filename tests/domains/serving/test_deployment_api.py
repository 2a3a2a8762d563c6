"""Deployments over HTTP: what an operator asks for, and what model servers fetch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tilth.core.clock import now
from tilth.core.hashing import content_address
from tilth.wire.plane import STATE_PATH, STATUS_FOLDER, TOKEN_PATH, DeploymentStatus, PlaneState, WorkerStatus

P = "/api/v1/p/default"


def message_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def write_status(home: Path, worker: str, *deployments: DeploymentStatus) -> None:
    """What a model server writes each second."""
    folder = home / STATUS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    moment = now()
    temporary = folder / f".{worker}"
    temporary.write_bytes(msgspec.json.encode(WorkerStatus(worker, 1, moment, moment, 1, deployments)))
    temporary.replace(folder / f"{worker}.json")


def test_a_deployment_is_unserved_then_pending_then_live(installation: Any, register: Any) -> None:
    client = installation.client
    register("a")
    view = client.put(f"{P}/deployments/flights", json={"model": "m"}).json()
    assert (view["version"], view["generation"], view["status"]["state"]) == (1, 1, "unserved")
    assert view["url"] == "http://127.0.0.1:8701/p/default/deployments/flights/invocations"
    write_status(installation.home, "w0")
    assert client.get(f"{P}/deployments/flights").json()["deployment"]["status"]["state"] == "pending"
    write_status(installation.home, "w0", DeploymentStatus(view["id"], acknowledged=1, requests=2, window_buckets=(0, 2)))
    status = client.get(f"{P}/deployments").json()["deployments"][0]["status"]
    assert (status["state"], status["live"], status["requests"]) == ("live", True, 2)
    assert 0.010 <= status["latency"]["p50_ms"] <= 0.011


def test_waiting_ends_when_every_worker_has_the_generation(installation: Any, register: Any) -> None:
    client = installation.client
    register("a")
    id_ = client.put(f"{P}/deployments/d", json={"model": "m"}).json()["id"]
    write_status(installation.home, "w0", DeploymentStatus(id_, acknowledged=1))
    write_status(installation.home, "w1", DeploymentStatus(id_, acknowledged=0))
    early = client.get(f"{P}/deployments/d/wait", params={"timeout_s": 0}).json()
    assert early["status"]["state"] == "pending"
    late = threading.Timer(0.3, write_status, (installation.home, "w1", DeploymentStatus(id_, acknowledged=1)))
    late.start()
    view = client.get(f"{P}/deployments/d/wait", params={"generation": 1, "timeout_s": 20}).json()
    late.join()
    assert view["status"]["live"] is True


def test_waiting_ends_at_once_when_a_worker_refuses(installation: Any, register: Any) -> None:
    client = installation.client
    register("a")
    id_ = client.put(f"{P}/deployments/d", json={"model": "m"}).json()["id"]
    write_status(installation.home, "w0", DeploymentStatus(id_, acknowledged=0, failed_generation=1, error="no module named x"))
    view = client.get(f"{P}/deployments/d/wait", params={"timeout_s": 20}).json()
    assert (view["status"]["state"], view["status"]["error"]) == ("failed", "no module named x")


def test_waiting_for_what_cannot_come_is_refused(app_client: httpx.Client, register: Any) -> None:
    register("a")
    app_client.put(f"{P}/deployments/d", json={"model": "m"})
    for params in ({"generation": 2}, {"generation": 0}, {"timeout_s": 31}, {"timeout_s": -1}, {"timeout_s": "nan"}):
        assert app_client.get(f"{P}/deployments/d/wait", params=params).status_code == 400, params


def test_a_deployment_rolls_back_and_goes_over_http(app_client: httpx.Client, register: Any) -> None:
    register("a")
    register("b")
    app_client.put(f"{P}/deployments/d", json={"model": "m", "version": 1})
    changed = app_client.put(f"{P}/deployments/d", json={"model": "m", "version": 2, "note": "better"}).json()
    assert changed["generation"] == 2
    back = app_client.post(f"{P}/deployments/d/rollback", json={}).json()
    assert (back["version"], back["generation"]) == (1, 3)
    detail = app_client.get(f"{P}/deployments/d").json()
    assert [(g["generation"], g["cause"], g["version"]) for g in detail["generations"]] == [
        (3, "rollback", 1),
        (2, "deploy", 2),
        (1, "deploy", 1),
    ]
    assert app_client.delete(f"{P}/models/m/versions/1").status_code == 409
    assert app_client.delete(f"{P}/deployments/d").status_code == 204
    assert app_client.get(f"{P}/deployments/d").status_code == 404


def test_moving_an_alias_moves_its_deployments_and_the_published_state(installation: Any, register: Any) -> None:
    client = installation.client
    register("a")
    register("b")
    client.put(f"{P}/models/m/aliases/champion", json={"version": 1})
    client.put(f"{P}/deployments/d", json={"model": "m", "alias": "champion"})
    client.put(f"{P}/models/m/aliases/champion", json={"version": 2, "expected": 1})
    while installation.system.dispatcher.deliver_due():
        pass
    installation.system.publisher.publish_if_changed()
    state = msgspec.json.decode((installation.home / STATE_PATH).read_bytes(), type=PlaneState)
    assert [(d.name, d.generation, d.routes[0].version) for d in state.deployments] == [("d", 2, "m/2")]
    assert state.control_url == "http://127.0.0.1:8700"
    assert state.tokens


def test_model_servers_fetch_files_with_their_token_and_nobody_else_does(installation: Any, register: Any) -> None:
    client = installation.client
    register("a")
    client.put(f"{P}/deployments/d", json={"model": "m"})
    id_ = client.get(f"{P}/models/m/versions/1").json()["version"]["logged_model_id"]
    url = f"/api/v1/plane/models/{id_}/files/model.pkl"
    plane = installation.as_((installation.home / TOKEN_PATH).read_text().strip())
    answer = plane.get(url)
    assert (answer.status_code, answer.content) == (200, b"a")
    assert answer.headers["x-tilth-sha256"] == content_address(b"a")
    assert plane.get(url + "x").status_code == 404
    assert plane.get(f"/api/v1/plane/models/{id_}/files/%2e%2e/x").status_code in (400, 404)
    assert plane.get(f"{P}/models").status_code in (403, 404)
    assert client.get(url).status_code == 403
    assert installation.as_(None).get(url).status_code == 401


def test_files_of_a_model_that_is_not_sealed_are_not_given_to_model_servers(installation: Any) -> None:
    id_ = installation.client.post(f"{P}/logged-models", json={}).json()["id"]
    installation.client.put(f"{P}/logged-models/{id_}/files/MLmodel", content=b"x")
    plane = installation.as_((installation.home / TOKEN_PATH).read_text().strip())
    assert plane.get(f"/api/v1/plane/models/{id_}/files/MLmodel").status_code == 404


def test_only_a_maintainer_changes_what_is_served(installation: Any, register: Any) -> None:
    register("a")
    developer = installation.as_(installation.member("dan", "developer"))
    maintainer = installation.as_(installation.member("mia", "maintainer"))
    refused = developer.put(f"{P}/deployments/d", json={"model": "m"})
    assert (refused.status_code, "maintainer" in message_of(refused)) == (403, True)
    assert maintainer.put(f"{P}/deployments/d", json={"model": "m"}).status_code == 200
    assert developer.get(f"{P}/deployments/d").status_code == 200
    assert developer.delete(f"{P}/deployments/d").status_code == 403
    assert developer.post(f"{P}/deployments/d/rollback", json={}).status_code == 403


def test_bodies_and_settings_out_of_bounds_are_refused(app_client: httpx.Client, register: Any) -> None:
    register("a")
    for body in (
        {},
        {"model": "m", "versoin": 1},
        {"model": "m", "version": 1, "alias": "champion"},
        {"model": "m", "settings": {"max_body_bytes": 0}},
        {"model": "m", "settings": {"log_sync": "never"}},
        {"model": "m", "note": "x" * 2001},
    ):
        assert app_client.put(f"{P}/deployments/d", json=body).status_code == 400, body
    assert app_client.put(f"{P}/deployments/Not-A-Slug", json={"model": "m"}).status_code == 400
    kept = app_client.put(f"{P}/deployments/d", json={"model": "m", "settings": {"log_sync": "each"}}).json()
    assert kept["settings"]["log_sync"] == "each"
    assert app_client.put(f"{P}/deployments/d", json={"model": "m"}).json()["settings"]["log_sync"] == "each"
