"""The token of a run writes that run, what it starts below it and their models, and nothing else of its project."""

from __future__ import annotations

from typing import Any

import pytest

RUNS = "/api/v1/p/default/runs"


@pytest.fixture
def place(installation: Any) -> Any:
    own = installation.client.post(RUNS, json={"experiment": "confined"}).json()["id"]
    other = installation.client.post(RUNS, json={"experiment": "confined"}).json()["id"]
    token = installation.token(scopes=["read", "write", "predict"], project="default", run_id=own)
    return installation.as_(token), own, other


def test_it_writes_its_own_run_and_not_another(place: Any) -> None:
    client, own, other = place
    batch = {"params": {"a": "1"}, "metrics": [{"key": "m", "value": 1.0, "step": 0}]}
    assert client.post(f"{RUNS}/{own}/log", json=batch).status_code == 204
    refused = client.post(f"{RUNS}/{other}/log", json=batch)
    assert refused.status_code == 403
    assert f"token of run {own}" in refused.text
    assert client.get(f"{RUNS}/{other}").json()["params"] == {}
    for method, address, body in [
        ("PATCH", f"{RUNS}/{other}", {"notes": "mine"}),
        ("POST", f"{RUNS}/{other}/heartbeat", None),
        ("PATCH", f"{RUNS}/{own}", {"parent_run_id": other}),
        ("POST", RUNS, {"parent_run_id": other}),
    ]:
        assert client.request(method, address, json=body).status_code == 403, address
    assert client.patch(f"{RUNS}/{own}", json={"notes": "mine"}).status_code == 200


def test_an_artifact_of_another_run_is_refused_and_one_of_its_own_kept(place: Any) -> None:
    client, own, other = place
    assert client.put(f"{RUNS}/{other}/artifacts/a.txt", content=b"x").status_code == 403
    assert client.get(f"{RUNS}/{other}/artifacts/a.txt").status_code == 404
    assert client.put(f"{RUNS}/{own}/artifacts/a.txt", content=b"x").status_code == 200


def test_what_it_starts_stands_below_its_run_and_is_its_own(place: Any) -> None:
    client, own, _ = place
    child = client.post(RUNS, json={"experiment": "confined"}).json()["id"]
    assert client.get(f"{RUNS}/{child}").json()["run"]["parent_run_id"] == own
    grandchild = client.post(RUNS, json={"parent_run_id": child}).json()["id"]
    assert client.post(f"{RUNS}/{grandchild}/log", json={"tags": {"a": "b"}}).status_code == 204


def test_it_neither_deletes_nor_tidies_up_nor_renames_experiments(place: Any, installation: Any) -> None:
    client, own, _ = place
    assert client.delete(f"{RUNS}/{own}").status_code == 403
    assert client.post(f"{RUNS}/bulk", json={"do": "archive", "runs": [own]}).status_code == 403
    experiment = client.get(f"{RUNS}/{own}").json()["run"]["experiment_id"]
    address = f"/api/v1/p/default/experiments/{experiment}"
    assert client.patch(address, json={"name": "taken over"}).status_code == 403
    assert installation.client.patch(address, json={"name": "renamed"}).status_code == 200


def test_mlflow_clients_with_such_a_token_are_bound_alike(place: Any) -> None:
    client, own, other = place

    def log(run: str) -> Any:
        return client.post("/api/2.0/mlflow/runs/log-parameter", json={"run_id": run, "key": "k", "value": "v"})

    assert log(own).status_code == 200
    refused = log(other)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_model_is_logged_for_its_own_run_only(place: Any) -> None:
    client, own, other = place

    def create(run: str) -> Any:
        return client.post("/api/2.0/mlflow/logged-models", json={"experiment_id": "0", "name": "m", "source_run_id": run})

    assert create(own).status_code == 200
    assert create(other).status_code == 403
