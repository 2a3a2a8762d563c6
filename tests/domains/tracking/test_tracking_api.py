"""Runs over HTTP, through the whole control app."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

BASE = "/api/v1/p/default"


@pytest.fixture
def run(app_client: httpx.Client) -> dict[str, Any]:
    answer = app_client.post(f"{BASE}/runs", json={"name": "first", "params": {"depth": "7"}})
    assert answer.status_code == 201, answer.text
    return answer.json()


def log(client: httpx.Client, run: dict[str, Any], **batch: Any) -> httpx.Response:
    return client.post(f"{BASE}/runs/{run['id']}/log", json=batch)


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_run_is_made_logged_to_and_read(app_client: httpx.Client, run: dict[str, Any]) -> None:
    metrics = [{"key": "auc", "value": 0.7, "step": 1}, {"key": "auc", "value": "NaN", "step": 0}, {"key": "n", "value": 3}]
    assert log(app_client, run, metrics=metrics, tags={"team": "x"}).status_code == 204
    detail = app_client.get(f"{BASE}/runs/{run['id']}").json()
    assert [(m["key"], m["value"], m["count"]) for m in detail["metrics"]] == [("auc", 0.7, 2), ("n", 3.0, 1)]
    assert (detail["params"], detail["tags"]) == ({"depth": "7"}, {"team": "x"})
    history = app_client.get(f"{BASE}/runs/{run['id']}/metrics/auc").json()
    assert [point[0::2] for point in history["points"]] == [[0, "NaN"], [1, 0.7]]
    assert app_client.get(f"{BASE}/runs/{run['id']}/metrics", params={"key": ["auc", "n"]}).json()[1]["key"] == "n"


def test_runs_are_listed_by_filter_order_and_page(app_client: httpx.Client, run: dict[str, Any]) -> None:
    for number in range(3):
        other = app_client.post(f"{BASE}/runs", json={"experiment": "many"}).json()
        log(app_client, other, metrics=[{"key": "auc", "value": number / 10}], params={"depth": "3"})
    query = {"filter": "auc>=0.1", "order_by": "metrics.auc desc", "limit": 1, "columns": "metrics.auc"}
    first = app_client.get(f"{BASE}/runs", params=query).json()
    assert (first["total"], first["total_text"]) == (2, "2")
    assert [(row["metrics"], row["params"]) for row in first["runs"]] == [({"auc": 0.2}, {})]
    second = app_client.get(f"{BASE}/runs", params={**query, "page_token": first["next_page_token"]}).json()
    assert [row["metrics"] for row in second["runs"]] == [{"auc": 0.1}]
    assert second["next_page_token"] == ""
    assert app_client.get(f"{BASE}/runs", params={"experiment": "many"}).json()["total"] == 3


def test_a_run_is_changed_deleted_and_restored(app_client: httpx.Client, run: dict[str, Any]) -> None:
    path = f"{BASE}/runs/{run['id']}"
    changed = app_client.patch(path, json={"name": "better", "status": "finished", "notes": "why"}).json()
    assert (changed["name"], changed["status"], changed["notes"]) == ("better", "finished", "why")
    assert app_client.post(f"{path}/heartbeat").status_code == 204
    assert app_client.delete(path).status_code == 204
    assert error(log(app_client, run, metrics=[{"key": "a", "value": 1}])) == (409, "run_deleted")
    assert app_client.get(f"{BASE}/runs").json()["total"] == 0
    assert app_client.post(f"{path}/restore").json()["deleted"] is False


def test_experiments_are_made_listed_renamed_and_deleted(app_client: httpx.Client) -> None:
    made = app_client.post(f"{BASE}/experiments", json={"name": "churn", "tags": {"a": "b"}}).json()
    path = f"{BASE}/experiments/{made['id']}"
    assert app_client.patch(path, json={"name": "leave"}).json()["name"] == "leave"
    assert "leave" in [e["name"] for e in app_client.get(f"{BASE}/experiments").json()["experiments"]]
    assert app_client.delete(path).status_code == 204
    assert app_client.get(path).json()["deleted"] is True
    assert app_client.post(f"{path}/restore").json()["deleted"] is False
    assert error(app_client.post(f"{BASE}/experiments", json={"name": "leave"})) == (409, "experiment_exists")


BAD_BATCHES = [
    (b'{"metrics": [{"key": "a", "value": "high"}]}', "malformed_body"),
    (b'{"metrics": [{"key": "a", "value": 1, "colour": 2}]}', "malformed_body"),
    (b'{"metrics": [', "malformed_body"),
    (b'{"metrics": ["\xff"]}', "malformed_body"),
    (b"[" * 100_000, "malformed_body"),
    (b"", "malformed_body"),
    (b'{"metrics": [{"key": "../a", "value": 1}]}', "invalid_name"),
    (b'{"metrics": [{"key": "a", "value": 1, "step": 99999999999999999999}]}', "invalid_batch"),
    (b'{"params": {"a": "x\\u0000y"}}', "invalid_batch"),
    (b'{"tags": {"a": "\\ud800"}}', "malformed_body"),
]


def test_a_bad_batch_is_refused_with_a_reason(app_client: httpx.Client, run: dict[str, Any]) -> None:
    path = f"{BASE}/runs/{run['id']}"
    answers = [(body[:60], *error(app_client.post(f"{path}/log", content=body))) for body, _ in BAD_BATCHES]
    assert answers == [(body[:60], 400, code) for body, code in BAD_BATCHES]
    detail = app_client.get(path).json()
    assert (detail["metrics"], detail["params"], detail["tags"]) == ([], {"depth": "7"}, {})


def test_params_that_change_are_a_conflict(app_client: httpx.Client, run: dict[str, Any]) -> None:
    assert log(app_client, run, params={"depth": "7"}).status_code == 204
    answer = log(app_client, run, params={"depth": "8"})
    assert error(answer) == (409, "param_changed")
    assert "'7' and cannot become '8'" in answer.json()["error"]["message"]


NOT_THERE = [
    ("/runs/none", 404, "unknown_run"),
    ("/runs/none/metrics/auc", 404, "unknown_run"),
    ("/runs/none/artifacts", 404, "unknown_run"),
    ("/experiments/none", 404, "unknown_experiment"),
    ("/runs?filter=auc%3E", 400, "invalid_run_filter"),
    ("/runs?order_by=metrics.", 400, "invalid_order"),
    ("/runs?limit=0", 400, "invalid_page"),
    ("/runs?limit=1001", 400, "invalid_page"),
    ("/runs?page_token=abc", 400, "invalid_page"),
    ("/runs?experiment=none", 404, "unknown_experiment"),
]


def test_what_is_not_there_or_makes_no_sense_is_named(app_client: httpx.Client) -> None:
    answers = [(path, *error(app_client.get(BASE + path))) for path, _, _ in NOT_THERE]
    assert answers == NOT_THERE


def test_an_unknown_metric_names_those_there_are(app_client: httpx.Client, run: dict[str, Any]) -> None:
    log(app_client, run, metrics=[{"key": "accuracy", "value": 1}])
    answer = app_client.get(f"{BASE}/runs/{run['id']}/metrics/auc")
    assert error(answer) == (404, "unknown_metric")
    assert "it has: accuracy" in answer.json()["error"]["message"]
