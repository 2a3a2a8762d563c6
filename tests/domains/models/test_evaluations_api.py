"""Evaluations, gates, comparisons and cards over HTTP; an alias set by an MLflow client meets the same gates."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

P = "/api/v1/p/default"
M = f"{P}/models/judged"
DOCUMENT = ModelDocument("sklearn", Signature((Column("x", "double"),), (Column("y", "double"),)), "predict", "model.pkl")
SCORES = b"\0" * 1600


def measured(auc: float, **more: Any) -> dict[str, Any]:
    fields = {"dataset": "week 2", "dataset_digest": "2" * 64, "rows_digest": "1" * 64, "rows": 100, "task": "classification"}
    return {**fields, "metrics": {"auc": {"value": auc}}, **more}


@pytest.fixture
def model(app_client: httpx.Client) -> str:
    """Versions 1 and 2 of the model `judged`; the address of the model."""
    for seed in (b"a", b"b"):
        id_ = app_client.post(f"{P}/logged-models", json={"name": "m"}).json()["id"]
        files = {"MLmodel": b"flavors:\n  sklearn: {}\n", "tilth.json": msgspec.json.encode(DOCUMENT), "model.pkl": seed}
        for path, content in files.items():
            assert app_client.put(f"{P}/logged-models/{id_}/files/{path}", content=content).status_code == 201
        assert app_client.post(f"{P}/logged-models/{id_}/finalize", json={}).status_code == 200
        assert app_client.post(f"{M}/versions", json={"logged_model_id": id_}).status_code == 201
    return M


def test_an_alias_meets_the_gate_in_our_api_and_in_that_of_mlflow(app_client: httpx.Client, model: str) -> None:
    assert app_client.post(f"{model}/gates", json={"expression": "auc >= 0.7"}).json()["number"] == 1
    done = app_client.post(f"{model}/versions/1/evaluations", json=measured(0.6))
    assert (done.status_code, done.json()["verdicts"][0]["outcome"]) == (201, "failed")
    refused = app_client.put(f"{model}/aliases/champion", json={"version": 1})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "gate_failed")
    body = {"name": "judged", "alias": "champion", "version": "1"}
    by_mlflow = app_client.post("/api/2.0/mlflow/registered-models/alias", json=body)
    assert 400 <= by_mlflow.status_code < 500
    assert "auc is 0.6, below 0.7" in by_mlflow.json()["message"]
    checked = app_client.post(f"{model}/versions/1/gates/check", json={"alias": "champion"}).json()
    assert (checked["passed"], checked["cause"]) == (False, "asked")
    forced = app_client.post(f"{model}/aliases/champion/override", json={"version": 1, "reason": "only one we have"})
    assert forced.json()["aliases"] == {"champion": 1}


def test_scores_are_stored_and_read_back_and_others_are_refused(app_client: httpx.Client, model: str) -> None:
    wanted = measured(0.6, scores_digest=hashlib.sha256(SCORES).hexdigest())
    id_ = app_client.post(f"{model}/versions/1/evaluations", json=wanted).json()["evaluation"]["id"]
    place = f"{P}/evaluations/{id_}/scores"
    assert app_client.get(place).status_code == 404
    assert app_client.put(place, content=b"something else").status_code >= 400
    assert app_client.put(place, content=SCORES).json()["scores_size"] == 1600
    assert app_client.get(place).content == SCORES
    assert app_client.put(place, content=SCORES).status_code == 409
    listed = app_client.get(f"{model}/evaluations", params={"rows_digest": "1" * 64, "evaluation": "validation"}).json()
    assert (listed["total"], listed["evaluations"][0]["id"]) == (1, id_)


def test_two_versions_are_compared_part_by_part(app_client: httpx.Client, model: str) -> None:
    for version, auc in ((1, 0.6), (2, 0.7)):
        app_client.post(f"{model}/versions/{version}/evaluations", json=measured(auc))
    found = app_client.get(f"{model}/diff", params={"a": 1, "b": 2}).json()
    assert found["evaluations"][0]["metrics"][0]["difference"] == pytest.approx(0.1)
    assert [(row["name"], row["same"]) for row in found["files"]] == [
        ("MLmodel", True),
        ("model.pkl", False),
        ("tilth.json", True),
    ]
    assert app_client.get(f"{model}/diff", params={"a": 1, "b": 9}).status_code == 404
    assert app_client.get(f"{model}/diff").status_code == 400


def test_the_card_tells_what_was_measured_and_decided_in_three_forms(app_client: httpx.Client, model: str) -> None:
    app_client.post(f"{model}/versions/1/evaluations", json=measured(0.6))
    app_client.patch(f"{model}/versions/1", json={"tags": {"license": "apache-2.0", "task": "delay"}})
    app_client.put(f"{model}/versions/1/card", json={"fields": {"contact": "gates@example.org"}})
    card = app_client.get(f"{model}/versions/1/card").json()
    assert (card["license"], card["tags"], card["completeness"]) == ("apache-2.0", ["task:delay"], 0.2)
    text = app_client.get(f"{model}/versions/1/card.md").text
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["model-index"][0]["results"][0]["metrics"] == [{"type": "auc", "value": 0.6}]
    assert "**Missing:** intended use, out of scope" in text
    page = app_client.get("/p/default/models/judged/versions/1/card.html")
    assert page.headers["content-disposition"].startswith("attachment")
    assert "gates@example.org" in page.text
    assert "<link" not in page.text


def test_a_maintainer_adds_gates_and_only_an_owner_loosens_them(installation: Any, app_client: httpx.Client, model: str) -> None:
    mia = installation.as_(installation.member("mia", "maintainer"))
    assert mia.post(f"{model}/gates", json={"expression": "auc >= 0.7"}).status_code == 201
    assert mia.delete(f"{model}/gates/1").status_code == 403
    assert mia.put(f"{model}/policy", json={}).status_code == 403
    assert mia.post(f"{model}/aliases/champion/override", json={"version": 1, "reason": "because"}).status_code == 403
    assert app_client.delete(f"{model}/gates/1").status_code == 204
    app_client.put(f"{model}/policy", json={"approval_for": ["champion"]})
    assert app_client.post(f"{model}/versions/1/approval", json={"comment": "please"}).json()["state"] == "requested"
    assert app_client.post(f"{model}/versions/1/approval/approve", json={}).status_code == 409
    assert mia.post(f"{model}/versions/1/approval/approve", json={}).json()["state"] == "approved"
    assert mia.put(f"{model}/aliases/champion", json={"version": 1}).status_code == 200
