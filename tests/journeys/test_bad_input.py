"""What is wrong with a request is said by a real server: which thing, why, and what to do next."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.conftest import Server
from tests.journeys.steps import Done, predict, python, tilth, wait_until

RUNS = "/api/v1/p/default/runs"
GOOD = {"wind": 3.0, "hour": 20, "origin": "EWR"}


@pytest.fixture(scope="module")
def client(tilth_server: Server, delays: Done) -> Any:
    with tilth_server.client(timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def run_id(client: httpx.Client) -> str:
    return str(client.post(RUNS, json={"name": "target"}).json()["id"])


def token(client: httpx.Client, name: str, role: str, *scopes: str, **more: object) -> str:
    """Of a new member of project `default` with this role."""
    client.post("/api/v1/users", json={"name": name})
    if role:
        assert client.put(f"/api/v1/p/default/members/{name}", json={"role": role}).is_success
    body = {"name": name, "principal": name, "scopes": scopes or ("read", "write", "predict", "manage"), **more}
    answer = client.post("/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def said(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert "Traceback" not in answer.text
    return str(answer.json()["error"]["message"])


def test_an_unknown_project_is_named(client: httpx.Client) -> None:
    message = said(client.get("/api/v1/p/nowhere/runs"), 404)
    assert "'nowhere'" in message
    assert "tilth project" in message


def test_credentials_that_do_not_count_say_where_to_get_some(tilth_server: Server, client: httpx.Client) -> None:
    made = client.post("/api/v1/tokens", json={"name": "guest", "scopes": ["read"]}).json()
    secret = made["secret"]
    assert status_with(tilth_server, secret) == 200
    revoked = client.delete(f"/api/v1/tokens/{made['token']['id']}")
    assert revoked.is_success, revoked.text
    wait_until(lambda: status_with(tilth_server, secret) == 401, "the revocation to be known")
    for given in (secret, "tilth_abcdefgh_of_another_installation", "nonsense"):
        answer = httpx.get(f"{tilth_server.url}{RUNS}", headers={"authorization": f"Bearer {given}"})
        assert "tilth " in said(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "tilth env" in said(httpx.get(f"{tilth_server.url}{RUNS}"), 401)


def status_with(server: Server, secret: str) -> int:
    return httpx.get(f"{server.url}{RUNS}", headers={"authorization": f"Bearer {secret}"}).status_code


def test_a_role_that_is_too_low_is_told_which_one_is_needed(tilth_server: Server, client: httpx.Client) -> None:
    viewer = {"authorization": f"Bearer {token(client, 'looker', 'viewer')}"}
    assert httpx.get(f"{tilth_server.url}{RUNS}", headers=viewer).status_code == 200
    message = said(httpx.post(f"{tilth_server.url}{RUNS}", headers=viewer, json={"name": "x"}), 403)
    assert "developer" in message


def test_a_stranger_meets_no_project_at_all(tilth_server: Server, client: httpx.Client) -> None:
    stranger = {"authorization": f"Bearer {token(client, 'uninvited', '')}"}
    foreign = said(httpx.get(f"{tilth_server.url}{RUNS}", headers=stranger), 404)
    none = said(httpx.get(f"{tilth_server.url}/api/v1/p/defaulx/runs", headers=stranger), 404)
    assert foreign.replace("default", "") == none.replace("defaulx", "")


BODIES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"name": "x"', "JSON"),
    "not JSON": (b"name=x", "JSON"),
    "not UTF-8": (b'{"name": "\xff"}', "JSON"),
    "too deep": (b'{"tags": ' + b"[" * 100_000, "JSON"),
    "an unknown field": (b'{"nmae": "x"}', "unknown field `nmae`"),
    "a wrong type": (b'{"name": 7}', "'name'"),
    "a wrong type far inside": (b'{"tags": {"a": 1}}', "tags"),
    "nothing": (b"", "the body is missing"),
}


@pytest.mark.parametrize(("body", "word"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_does_not_fit_is_refused_with_its_fault(client: httpx.Client, body: bytes, word: str) -> None:
    message = said(client.post(RUNS, content=body, headers={"content-type": "application/json"}), 400)
    assert word in message


def test_a_body_beyond_the_bound_is_refused_and_the_connection_serves_on(client: httpx.Client) -> None:
    large = json.dumps({"name": "x" * 11_000_000}).encode()
    assert "send less at once" in said(client.post(RUNS, content=large, headers={"content-type": "application/json"}), 413)
    assert client.get("/api/v1/health").status_code == 200


@pytest.mark.parametrize("path", ["../../secret", "..%2f..%2fsecret", "a/../b", "%2e%2e/x", "a//b", "a%00b", "%5c..%5cx", "./x"])
def test_a_path_that_climbs_is_refused_and_writes_nothing(
    tilth_server: Server, client: httpx.Client, run_id: str, path: str
) -> None:
    before = sorted(entry.name for entry in tilth_server.home.iterdir())
    status, answer = raw(tilth_server, "PUT", f"{RUNS}/{run_id}/artifacts/{path}", b"bytes")
    assert status in (400, 404, 405), answer
    assert sorted(entry.name for entry in tilth_server.home.iterdir()) == before
    listed = client.get(f"{RUNS}/{run_id}/artifacts", params={"recursive": True}).json()["files"]
    assert [entry["path"] for entry in listed if "secret" in entry["path"] or ".." in entry["path"]] == []


def raw(server: Server, method: str, path: str, body: bytes) -> tuple[int, str]:
    """A request whose path no client library has tidied up."""
    host = httpx.URL(server.url)
    with socket.create_connection((host.host, host.port or 0), timeout=30) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: {host.host}\r\nAuthorization: Bearer {server.token}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        answer = connection.makefile("rb").read().decode(errors="replace")
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("name", ["../up", "a/b", "UPPER CASE", "", "x" * 200, "sp ace"])
def test_a_name_that_is_no_name_is_refused_with_what_would_be_one(client: httpx.Client, name: str) -> None:
    message = said(client.post("/api/v1/projects", json={"name": name}), 400)
    assert "use 1 to 63 of a-z" in message


def test_a_run_that_writes_after_its_deletion_is_told_and_can_be_restored(tilth_server: Server, client: httpx.Client) -> None:
    code = """
import sys, tilth
run = tilth.run("doomed")
run.log(x=1)
run.flush()
print(run.id, flush=True)
from tilth.sdk.connection import connection
http = connection().http
http.send("DELETE", f"{connection().api}/runs/{run.id}")
run.log(x=2)
try:
    run.flush()
    run.log(x=3)
except Exception as error:
    print(type(error).__name__, error)
try:
    run.finish()
except Exception as error:
    print(type(error).__name__, error)
"""
    run, *words = python(tilth_server, code).splitlines()
    assert words
    assert all("deleted" in line and "restore" in line for line in words), words
    assert client.post(f"{RUNS}/{run}/restore").is_success
    assert client.get(f"{RUNS}/{run}").json()["metrics"][0]["count"] == 1
    assert client.post(f"{RUNS}/{run}/log", json={"metrics": [{"key": "x", "value": 4}]}).is_success


def changed(**fields: object) -> dict[str, Any]:
    row = {**GOOD, **fields}
    return {"dataframe_records": [{name: value for name, value in row.items() if value is not ...}]}


PREDICTIONS: dict[str, tuple[Any, list[str]]] = {
    "a missing column": (changed(hour=...), ["column 'hour' is missing", "wind"]),
    "a misspelt column": (changed(orgin="EWR"), ["'orgin'", "did you mean 'origin'?"]),
    "a text for a number": (changed(wind="5"), ["column 'wind', row 0", "expected a number", 'the string "5"']),
    "a fraction for a whole number": (changed(hour=7.5), ["column 'hour', row 0", "expected a whole number"]),
    "a number for a category": (changed(origin=3), ["column 'origin', row 0", "expected a string"]),
    "a category not seen": (changed(origin="JFX"), ["column 'origin', row 0", "'JFX'", "known are", "'JFK'"]),
    "no rows at all": ({}, ["dataframe_split", "instances"]),
    "not JSON": (b"{", ["not valid JSON"]),
}


@pytest.mark.parametrize(("body", "words"), PREDICTIONS.values(), ids=PREDICTIONS.keys())
def test_a_prediction_that_does_not_fit_names_the_column_and_what_was_expected(
    tilth_server: Server, delays: Done, body: Any, words: list[str]
) -> None:
    answer = predict(tilth_server, body)
    assert answer.status_code == 400, answer.text
    assert not [word for word in words if word not in answer.json()["message"]], answer.text
    assert predict(tilth_server, changed()).status_code == 200


def test_predictions_are_refused_to_strangers_and_below_their_scope(
    tilth_server: Server, delays: Done, client: httpx.Client
) -> None:
    reader, foreigner = token(client, "reader", "developer", "read"), token(client, "foreigner", "")
    for given, status in (("none", 401), ("tilth_abcdefgh_x", 401), (reader, 403), (foreigner, 404)):
        answer = predict(tilth_server, changed(), token=given)
        assert answer.status_code in (status, 401, 404), (given, answer.text)
        assert answer.json()["message"]
    unknown = predict(tilth_server, changed(), deployment="nothing")
    assert unknown.status_code == 404
    assert "nothing" in unknown.json()["message"]
    large = predict(tilth_server, b" " * 10_100_000)
    assert large.status_code == 413
    assert "10000000" in large.json()["message"] or "10,000,000" in large.json()["message"]


def test_the_command_line_tells_the_same_in_one_line(tilth_server: Server, delays: Done) -> None:
    cases: list[tuple[Callable[[str], bool], tuple[str, ...]]] = [
        (lambda text: "column 'hour' is missing" in text, ("predict", "delay", "--json-rows", '[{"wind": 1, "origin": "EWR"}]')),
        (lambda text: "'nowhere'" in text and "tilth project" in text, ("run", "list", "--project", "nowhere")),
    ]
    for fits, command in cases:
        code, out, err = tilth(tilth_server, *command)
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert fits(err), err
