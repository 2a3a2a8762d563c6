"""Reaching into a project of others: by id, by digest, by name, through one's own project, through an archived one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from attack_steps import Place, Things, done, make_things


@pytest.fixture(scope="module")
def installation(tilth_server) -> Iterator[Place]:
    place = Place(tilth_server)
    yield place
    place.close()


@pytest.fixture(scope="module")
def victim(installation) -> Things:
    done(installation.client.post("/api/v1/projects", json={"name": "victim"}))
    return make_things(installation.client, "victim")


@pytest.fixture(scope="module")
def mallory(installation):
    """Owner of the project `lair`, a stranger to `victim`."""
    done(installation.client.post("/api/v1/projects", json={"name": "lair"}))
    return installation.as_(installation.member("mallory", "owner", "lair"))


def test_an_id_of_another_project_is_unknown_in_ones_own(installation, victim, mallory):
    v = victim
    below = [
        f"/runs/{v.run}",
        f"/runs/{v.run}/metrics/auc",
        f"/runs/{v.run}/metrics?key=auc",
        f"/runs/{v.run}/artifacts",
        f"/runs/{v.run}/artifacts/note.txt",
        f"/experiments/{v.experiment}",
        f"/logged-models/{v.logged_model}",
        f"/logged-models/{v.logged_model}/files/model.pkl",
        "/models/m",
        "/models/m/versions/1",
        "/models/m/versions/1/card",
        "/models/m/versions/1/card.md",
        "/deployments/live",
        "/deployments/live/wait?timeout_s=0",
    ]
    for path in below:
        assert mallory.get(f"/api/v1/p/lair{path}").status_code == 404, path
        assert mallory.get(f"/api/v1/p/victim{path}").status_code == 404, path
        assert installation.client.get(f"/api/v1/p/victim{path}").status_code == 200, path


def test_pages_show_nothing_of_another_project(installation, victim, mallory):
    run = f"/runs/{victim.run}"
    for path in (run, f"{run}/artifacts/note.txt", "/models/m", "/models/m/versions/1", "/deployments/live"):
        assert mallory.get(f"/p/lair{path}").status_code == 404, path
        assert installation.client.get(f"/p/victim{path}").status_code == 200, path
    named = f"runs={victim.run}"
    for path, part in (
        (f"/p/{{}}{run}/curves?key=auc", "series"),
        (f"/p/{{}}/compare/values?{named}", "runs"),
        (f"/api/v1/p/{{}}/runs/curves?key=auc&{named}", "curves"),
    ):
        assert mallory.get(path.format("lair")).json()[part] == [], path
        assert len(installation.client.get(path.format("victim")).json()[part]) == 1, path
    assert "auc" not in mallory.get(f"/p/lair{run}/curves.svg?key=auc").text.replace('aria-label="auc"', "")


def test_a_change_through_ones_own_project_does_not_reach_the_things_of_another(installation, victim, mallory):
    v = victim
    attempts = [
        ("PATCH", f"/runs/{v.run}", {"name": "taken"}),
        ("DELETE", f"/runs/{v.run}", None),
        ("POST", f"/runs/{v.run}/log", {"tags": {"a": "b"}}),
        ("POST", f"/runs/{v.run}/heartbeat", None),
        ("POST", f"/runs/{v.run}/restore", None),
        ("DELETE", f"/runs/{v.run}/artifacts/note.txt", None),
        ("PUT", f"/runs/{v.run}/artifacts/note.txt", {}),
        ("PATCH", f"/experiments/{v.experiment}", {"name": "taken"}),
        ("DELETE", f"/experiments/{v.experiment}", None),
        ("PUT", f"/logged-models/{v.logged_model}/tags", {"tags": {"a": "b"}}),
        ("DELETE", f"/logged-models/{v.logged_model}", None),
        ("POST", f"/logged-models/{v.logged_model}/finalize", {}),
        ("PATCH", "/models/m", {"description": "taken"}),
        ("DELETE", "/models/m/versions/1", None),
        ("PUT", "/models/m/aliases/champion", {"version": 1}),
        ("POST", "/deployments/live/rollback", {}),
        ("DELETE", "/deployments/live", None),
    ]
    for method, path, body in attempts:
        assert mallory.request(method, f"/api/v1/p/lair{path}", json=body).status_code == 404, (method, path)
    assert installation.client.get(f"{v.api}/runs/{v.run}").json()["run"]["name"] == "a run"
    assert installation.client.patch(f"{v.api}/runs/{v.run}", json={"name": "a run"}).status_code == 200


def test_ones_own_things_cannot_point_to_those_of_another_project(victim, mallory):
    lair = "/api/v1/p/lair"
    pointing = [
        ("/runs", {"parent_run_id": victim.run}),
        ("/runs", {"experiment_id": victim.experiment}),
        ("/logged-models", {"source_run_id": victim.run}),
        ("/logged-models", {"experiment_id": victim.experiment}),
        ("/models/stolen/versions", {"logged_model_id": victim.logged_model}),
    ]
    for path, body in pointing:
        assert mallory.post(lair + path, json=body).status_code == 404, (path, body)
    assert mallory.put(f"{lair}/deployments/d", json={"model": "m", "version": 1}).status_code == 404
    own = done(mallory.post(f"{lair}/runs", json={}))["id"]
    assert mallory.post(f"{lair}/runs", json={"parent_run_id": own}).status_code == 201


def test_the_id_of_a_run_of_another_project_cannot_be_taken_over(installation, victim, mallory):
    answer = mallory.post("/api/v1/p/lair/runs", json={"id": victim.run, "name": "taken"})
    assert answer.status_code == 409
    assert installation.client.get(f"{victim.api}/runs/{victim.run}").json()["run"]["name"] == "a run"
    assert mallory.post("/api/v1/p/lair/runs", json={"id": "0" * 31 + "1"}).status_code == 201


def test_knowing_a_digest_gives_no_bytes(victim, mallory):
    digest = hashlib.sha256(b"secret of victim").hexdigest()
    run = done(mallory.post("/api/v1/p/lair/runs", json={}))["id"]
    here = f"/api/v1/p/lair/runs/{run}/artifacts"
    for body in (b"", b"other bytes"):
        assert mallory.put(f"{here}/x", content=body, headers={"x-tilth-sha256": digest}).status_code == 400
    for path in (digest, f"{digest[:2]}/{digest}", f"sha256/{digest}"):
        assert mallory.get(f"{here}/{path}").status_code == 404
    own = hashlib.sha256(b"mine").hexdigest()
    assert mallory.put(f"{here}/x", content=b"mine", headers={"x-tilth-sha256": own}).status_code == 200


def test_lists_exports_searches_and_audit_hold_only_the_own_project(installation, victim, mallory):
    for path in ("runs", "experiments", "models", "logged-models", "deployments", "members", "audit"):
        text = mallory.get(f"/api/v1/p/lair/{path}").text
        for secret in (victim.run, victim.logged_model, victim.experiment):
            assert secret not in text, path
    for path in ("runs.csv", "runs", "search?q=run", "audit", "models"):
        assert victim.run not in mallory.get(f"/p/lair/{path}").text, path
    assert "victim" not in mallory.get("/api/v1/projects").text
    assert "victim" not in mallory.get("/settings/projects").text
    assert victim.run in installation.client.get("/p/victim/runs.csv").text


def test_a_foreign_project_and_one_that_is_not_there_look_the_same(victim, mallory):
    foreign, nothing = (mallory.get(f"/api/v1/p/{name}/runs") for name in ("victim", "nobody"))
    assert foreign.status_code == nothing.status_code == 404
    assert foreign.text.replace("victim", "X") == nothing.text.replace("nobody", "X")
    assert mallory.get("/api/v1/p/lair/runs").status_code == 200


def test_the_token_of_a_model_server_reads_model_files_and_nothing_else(installation, victim):
    worker = installation.as_((installation.home / "plane" / "token").read_text().strip())
    for path in ("/api/v1/whoami", "/api/v1/projects", f"{victim.api}/runs", f"{victim.api}/models", "/", "/settings/tokens"):
        assert worker.get(path).status_code in (403, 404), path
    assert worker.post("/api/v1/login-links").status_code == 403
    assert worker.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).status_code == 403
    files = f"/api/v1/plane/models/{victim.logged_model}/files"
    assert worker.get(f"{files}/model.pkl").content == b"bytes of victim"
    assert installation.client.get(f"{files}/model.pkl").status_code == 403
    for path in ("../model.pkl", "%2e%2e/model.pkl", "..%2f..%2ftoken", "model.pkl%00", "/etc/passwd"):
        assert worker.get(f"{files}/{path}").status_code in (400, 404), path


def test_an_archived_project_stays_closed_to_strangers_and_comes_back_for_its_owner(installation, victim, mallory):
    assert installation.client.delete("/api/v1/projects/victim").status_code == 204
    assert mallory.get(f"{victim.api}/runs/{victim.run}").status_code == 404
    assert mallory.post("/api/v1/projects", json={"name": "victim"}).status_code == 409
    assert mallory.patch("/api/v1/projects/victim", json={"archived": False}).status_code == 404
    assert installation.client.patch("/api/v1/projects/victim", json={"archived": False}).status_code == 200
