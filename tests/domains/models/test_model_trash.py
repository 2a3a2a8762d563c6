"""Models, versions and logged models that were deleted go for good, with everything that belongs to them."""

from __future__ import annotations

import pytest


@pytest.fixture
def client(installation):
    return installation.client


def logged_model(client, text: bytes = b"bytes") -> str:
    made = client.post("/api/v1/p/default/logged-models", json={"name": "m"}).json()["id"]
    files = f"/api/v1/p/default/logged-models/{made}/files"
    assert client.put(f"{files}/MLmodel", content=b"flavors:\n  sklearn:\n    pickled_model: m.pkl\n").status_code == 201
    assert client.put(f"{files}/m.pkl", content=text).status_code == 201
    assert client.post(f"/api/v1/p/default/logged-models/{made}/finalize", json={}).status_code == 200
    return made


def register(client, name: str, logged: str) -> int:
    answer = client.post(f"/api/v1/p/default/models/{name}/versions", json={"logged_model_id": logged, "tags": {"a": "b"}})
    assert answer.status_code == 201, answer.text
    return answer.json()["version"]


def trash(client) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["name"]) for entry in client.get("/api/v1/p/default/trash").json()["entries"]]


def test_a_deleted_version_goes_and_its_number_stays_taken(client):
    one, two = logged_model(client, b"1"), logged_model(client, b"2")
    register(client, "churn", one)
    register(client, "churn", two)
    assert client.delete("/api/v1/p/default/models/churn/versions/1").status_code == 204
    assert trash(client) == [("model_version", "churn/1")]
    emptied = client.post("/api/v1/p/default/trash/empty", json={})
    assert emptied.json() == {"counts": {"model_version": 1}, "dry_run": False}
    assert client.post("/api/v1/p/default/models/churn/versions/1/restore").status_code == 404
    assert register(client, "churn", one) == 3


def test_a_deleted_model_goes_with_its_versions_and_then_its_logged_model_can(client):
    logged = logged_model(client)
    register(client, "churn", logged)
    assert client.delete("/api/v1/p/default/models/churn").status_code == 204
    dry = client.post("/api/v1/p/default/trash/empty", json={"dry_run": True}).json()
    assert dry == {"counts": {"model": 1}, "dry_run": True}
    assert client.post("/api/v1/p/default/trash/empty", json={}).json()["counts"] == {"model": 1}
    assert client.post("/api/v1/p/default/models/churn/restore").status_code == 404
    assert client.delete(f"/api/v1/p/default/logged-models/{logged}").status_code == 204
    assert client.post("/api/v1/p/default/trash/empty", json={}).json()["counts"] == {"logged_model": 1}
    assert trash(client) == []


def test_what_was_deleted_lately_stays_when_only_old_things_go(client):
    register(client, "churn", logged_model(client))
    client.delete("/api/v1/p/default/models/churn")
    assert client.post("/api/v1/p/default/trash/empty", json={"older_than_days": 1}).json()["counts"] == {}
    assert client.post("/api/v1/p/default/models/churn/restore").status_code == 200


def test_only_named_things_go_when_ids_are_given(client):
    first, second = (client.post("/api/v1/p/default/runs", json={"name": name}).json()["id"] for name in ("a", "b"))
    client.post("/api/v1/p/default/runs/bulk", json={"do": "delete", "runs": [first, second]})
    assert client.post("/api/v1/p/default/trash/empty", json={"ids": [first]}).json()["counts"] == {"run": 1}
    assert trash(client) == [("run", "b")]
    assert client.post(f"/api/v1/p/default/runs/{first}/restore").status_code == 404
    assert client.post(f"/api/v1/p/default/runs/{second}/restore").status_code == 200


def test_a_developer_deletes_but_does_not_empty_the_trash(client, installation):
    developer = installation.as_(installation.member("dora", "developer"))
    run_id = developer.post("/api/v1/p/default/runs", json={"name": "a"}).json()["id"]
    assert developer.post("/api/v1/p/default/runs/bulk", json={"do": "delete", "runs": [run_id]}).status_code == 200
    assert developer.post("/api/v1/p/default/trash/empty", json={}).status_code == 403
    assert developer.post("/api/v1/p/default/retention", json={"action": "delete", "after_days": 1}).status_code == 403


def test_a_bulk_request_says_what_is_wrong_with_it(client):
    bulk = "/api/v1/p/default/runs/bulk"
    assert client.post(bulk, json={"do": "delete"}).status_code == 400
    assert client.post(bulk, json={"do": "delete", "runs": [], "filter": ""}).status_code == 400
    assert client.post(bulk, json={"do": "tag", "filter": ""}).status_code == 400
    assert client.post(bulk, json={"do": "move", "filter": "", "to": "nowhere"}).status_code == 404
    assert client.post(bulk, json={"do": "delete", "filter": "auc >"}).status_code == 400
    assert client.post(bulk, json={"do": "delete", "runs": ["0" * 32]}).status_code == 404
    assert client.post(bulk, json={"do": "delete", "runs": ["0" * 32] * 10_001}).status_code == 413


def test_a_rule_spares_the_run_that_a_version_came_from_until_the_version_is_deleted(client):
    runs = "/api/v1/p/default/runs"
    made, other = (client.post(runs, json={"name": name}).json()["id"] for name in ("made", "other"))
    for run_id in (made, other):
        assert client.patch(f"{runs}/{run_id}", json={"status": "finished", "ended": 1}).status_code == 200
    body = {"name": "m", "source_run_id": made}
    logged = client.post("/api/v1/p/default/logged-models", json=body).json()["id"]
    files = f"/api/v1/p/default/logged-models/{logged}"
    assert client.put(f"{files}/files/MLmodel", content=b"flavors:\n  sklearn:\n    pickled_model: m.pkl\n").status_code == 201
    assert client.put(f"{files}/files/m.pkl", content=b"x").status_code == 201
    assert client.post(f"{files}/finalize", json={}).status_code == 200
    register(client, "churn", logged)
    client.post("/api/v1/p/default/retention", json={"action": "delete", "after_days": 0})
    apply = "/api/v1/p/default/retention/apply"
    done = client.post(apply, json={}).json()
    assert ([step["runs"] for step in done["steps"]], done["spared"]) == ([[other]], 1)
    assert trash(client) == [("run", "other")]
    assert client.delete("/api/v1/p/default/models/churn/versions/1").status_code == 204
    assert [step["runs"] for step in client.post(apply, json={}).json()["steps"]] == [[made]]


def test_a_rule_is_checked_when_it_is_made(client):
    rules = "/api/v1/p/default/retention"
    assert client.post(rules, json={"action": "delete", "after_days": -1}).status_code == 400
    assert client.post(rules, json={"action": "delete", "after_days": 1, "filter": "auc >"}).status_code == 400
    made = client.post(rules, json={"action": "archive", "after_days": 1, "filter": "auc<0.5"})
    assert made.json()["trash_days"] == 30
    assert client.post(f"{rules}/apply", json={"dry_run": True}).json() == {
        "steps": [],
        "dry_run": True,
        "more": False,
        "spared": 0,
    }
    assert client.delete(f"{rules}/{made.json()['rules'][0]['id']}").status_code == 204
    assert client.delete(f"{rules}/{'0' * 32}").status_code == 404
