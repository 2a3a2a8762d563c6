"""Calls of the registry as they travel: statuses and forms of answers, and requests that no client of good will sends."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

CALLS = [
    ("POST", "registered-models/create"),
    ("PATCH", "registered-models/update"),
    ("POST", "registered-models/rename"),
    ("DELETE", "registered-models/delete"),
    ("POST", "registered-models/get-latest-versions"),
    ("POST", "registered-models/set-tag"),
    ("DELETE", "registered-models/delete-tag"),
    ("POST", "registered-models/alias"),
    ("DELETE", "registered-models/alias"),
    ("POST", "model-versions/create"),
    ("PATCH", "model-versions/update"),
    ("DELETE", "model-versions/delete"),
    ("POST", "model-versions/transition-stage"),
    ("POST", "model-versions/set-tag"),
    ("DELETE", "model-versions/delete-tag"),
    ("POST", "logged-models"),
    ("POST", "logged-models/search"),
    ("PATCH", "logged-models/m-none"),
    ("PATCH", "logged-models/m-none/tags"),
    ("POST", "logged-models/m-none/params"),
    ("POST", "artifacts/presigned-upload-url"),
]
TEXTS = ["name", "new_name", "key", "value", "alias", "version", "stage", "source", "run_id", "model_id"]
OTHERS = ["description", "filter", "page_token", "experiment_id", "experiment_ids", "tags", "params", "order_by", "datasets"]
FIELDS = [*TEXTS, *OTHERS, "max_results", "status", "path", "run_link"]
NUL = {"key": "\0", "value": "\0"}
ODD: list[Any] = ["\0", "a\0b", "\ud800", "a" * 3000, "", "..", "v1", -1, 2**70, 1.5, True, {}, [], [1], [{}], [NUL], None]


def send(http: httpx.Client, method: str, call: str, content: bytes) -> httpx.Response:
    return http.request(method, f"/api/2.0/mlflow/{call}", content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize(("method", "call"), CALLS)
def test_odd_values_are_the_callers_fault(shared_installation: Any, method: str, call: str) -> None:
    good = dict.fromkeys(FIELDS, "1") | {"experiment_ids": ["0"], "source": "s3://b/m"}
    for field in ("tags", "params", "order_by", "datasets"):
        good[field] = []
    good |= {"max_results": 5, "stage": "None", "experiment_id": "0"}
    for place, value in enumerate(ODD):
        # All fields at once; of the worst values also each text alone among good ones.
        alone = TEXTS if place < 4 else []
        for body in [dict.fromkeys(FIELDS, value), *({**good, field: value} for field in alone)]:
            answer = send(shared_installation.client, method, call, json.dumps(body).encode())
            assert answer.status_code < 500, (body, answer.text)
            if answer.status_code != 200:
                assert set(answer.json()) == {"error_code", "message"}, answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 5000, b"nul"])
def test_a_body_that_is_no_object_is_400(shared_installation: Any, body: bytes) -> None:
    answer = send(shared_installation.client, "POST", "registered-models/create", body)
    assert answer.status_code == 400


def test_a_change_needs_the_content_type_of_json(shared_installation: Any) -> None:
    answer = shared_installation.client.request("DELETE", "/api/2.0/mlflow/registered-models/delete", content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["message"] == "Bad Request. Content-Type header is missing."


def test_answers_leave_out_what_has_no_value(wire: Any) -> None:
    made = wire.post("registered-models/create", {"name": "bare"}).json()["registered_model"]
    assert set(made) == {"name", "creation_timestamp", "last_updated_timestamp", "user_id"}
    version = wire.post("model-versions/create", {"name": "bare", "source": "s3://b/m"}).json()["model_version"]
    assert version["version"] == "1"
    assert version["status"] == "READY"
    assert not {"tags", "aliases", "model_id"} & set(version)
    assert (version["run_id"], version["description"], version["run_link"]) == ("", "", "")
    assert wire.get("registered-models/search", filter="name = 'nobody'").json() == {}


@pytest.mark.parametrize(
    ("call", "body", "parameter"),
    [
        ("registered-models/create", {}, "name"),
        ("registered-models/rename", {"name": "a"}, "new_name"),
        ("model-versions/create", {"name": "a"}, "source"),
        ("model-versions/transition-stage", {"name": "a", "version": "1"}, "stage"),
        ("registered-models/alias", {"name": "a", "version": "1"}, "alias"),
        ("logged-models", {}, "experiment_id"),
        ("logged-models/search", {}, "experiment_ids"),
    ],
)
def test_what_is_missing_is_named(wire: Any, call: str, body: object, parameter: str) -> None:
    answer = wire.post(call, body)
    assert answer.status_code == 400
    assert f"Missing value for required parameter '{parameter}'." in answer.json()["message"]


def test_roles_are_those_of_our_own_api(shared_installation: Any, wire: Any) -> None:
    wire.post("registered-models/create", {"name": "roles"})
    wire.post("model-versions/create", {"name": "roles", "source": "s3://b/m"})
    developer = shared_installation.as_(shared_installation.member("dev-mlflow-registry", "developer"))
    base = "/api/2.0/mlflow"
    assert developer.post(f"{base}/model-versions/create", json={"name": "roles", "source": "s3://b/n"}).status_code == 200
    alias = {"name": "roles", "alias": "champion", "version": "1"}
    for answer in (
        developer.post(f"{base}/registered-models/alias", json=alias),
        developer.request("DELETE", f"{base}/registered-models/delete", json={"name": "roles"}),
        developer.post(f"{base}/model-versions/transition-stage", json={"name": "roles", "version": "1", "stage": "Staging"}),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
