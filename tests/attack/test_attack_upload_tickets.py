"""The tickets with which MLflow's clients send the parts of a large file: each good for one part, for a while, and for who asked."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tilth.core.actors import Actor
from tilth.core.clock import HOUR, Millis, now
from tilth.domains.models.api.mlflow.multipart import PART
from tilth.guard import ProjectRef
from tilth.guard.tickets import TICKET_HEADER, issue, place_of

PROXY = "/api/2.0/mlflow-artifacts"


@pytest.fixture
def developer(installation: Any) -> httpx.Client:
    """Somebody else than the owner, so that his role can be taken away."""
    client: httpx.Client = installation.as_(installation.member("dora-parts", "developer"))
    return client


def open_upload(client: httpx.Client, parts: int = 2, prefix: str = "") -> dict[str, Any]:
    run = client.post(f"{prefix}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()
    address = f"{prefix}{PROXY}/mpu/create/0/{run['run']['info']['run_id']}/artifacts/d"
    answer = client.post(address, json={"path": "f.bin", "num_parts": parts})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def send(address: str, ticket: str, content: bytes = b"x") -> int:
    return httpx.put(address, content=content, headers={TICKET_HEADER: ticket}).status_code


def first(opened: dict[str, Any]) -> tuple[str, str]:
    part = opened["credentials"][0]
    return part["url"], part["headers"][TICKET_HEADER]


def test_no_answer_repeats_the_callers_token(developer: httpx.Client) -> None:
    opened = open_upload(developer)
    assert developer.headers["authorization"].partition(" ")[2] not in json.dumps(opened)
    assert set(opened["credentials"][0]["headers"]) == {TICKET_HEADER}


def test_a_ticket_is_good_for_its_own_part_alone(developer: httpx.Client) -> None:
    one, two = open_upload(developer)["credentials"]
    other_upload, _ = first(open_upload(developer))
    ticket = one["headers"][TICKET_HEADER]
    assert send(two["url"], ticket) == 401
    assert send(other_upload, ticket) == 401
    assert send(one["url"], ticket) == 200
    assert httpx.put(one["url"], content=b"x").status_code == 401


def test_a_ticket_opens_no_other_address(installation: Any, developer: httpx.Client) -> None:
    url, ticket = first(open_upload(developer))
    bare = installation.as_(None)
    for headers in ({TICKET_HEADER: ticket}, {"authorization": f"Bearer {ticket}"}):
        assert bare.get("/api/v1/p/default/runs", headers=headers).status_code == 401
        assert bare.get(f"{PROXY}/artifacts", headers=headers).status_code == 401
    assert httpx.put(url, content=b"x", headers={"authorization": f"Bearer {ticket}"}).status_code == 401


def test_a_ticket_does_not_reach_another_project(installation: Any) -> None:
    assert installation.client.post("/api/v1/projects", json={"name": "elsewhere"}).status_code == 201
    url, ticket = first(open_upload(installation.client))
    assert send(url.replace("/api/2.0", "/p/elsewhere/api/2.0"), ticket) == 404
    assert httpx.put(url, content=b"x", headers={TICKET_HEADER: ticket, "x-mlflow-workspace": "elsewhere"}).status_code == 404
    there, other = first(open_upload(installation.client, prefix="/p/elsewhere"))
    assert send(there.replace("/p/elsewhere", ""), other) == 200  # Its project stands in the ticket.
    assert send(there.replace("/p/elsewhere", "/p/default"), other) == 404


def test_an_expired_ticket_is_refused(installation: Any, developer: httpx.Client) -> None:
    opened = open_upload(developer)
    url, ticket = first(opened)
    id_, name, kind, via, project_id, project, _ = fields_of(ticket)
    place = place_of(PART, {"upload_id": opened["upload_id"], "number": 1})

    def made(expires: int) -> str:
        actor, of = Actor(id_, name, kind, via), ProjectRef(project_id, project)
        return issue(installation.system.sealer, actor, of, place, expires=Millis(expires))

    assert send(url, made(now() - 1)) == 401
    assert send(url, made(now() + HOUR)) == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text, signature: f"{text}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        lambda text, signature: f"{text}.",
        lambda text, signature: text,
        lambda text, signature: f".{signature}",
        lambda text, signature: f"{later(text)}.{signature}",
        lambda text, signature: f"{text}A.{signature}",
        lambda text, signature: "é.ÿ",
        lambda text, signature: "x" * 5000,
    ],
)
def test_a_ticket_that_was_changed_is_refused(developer: httpx.Client, spoil: Any) -> None:
    url, ticket = first(open_upload(developer))
    spoiled = spoil(*ticket.split("."))
    answer = httpx.put(url, content=b"x", headers={TICKET_HEADER: spoiled.encode("latin-1")})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert send(url, ticket) == 200


def test_a_ticket_ends_with_the_token_that_asked_for_it(installation: Any) -> None:
    secret = installation.member("tom-parts", "developer")
    tom = installation.as_(secret)
    url, ticket = first(open_upload(tom))
    [token] = tom.get("/api/v1/tokens").json()
    assert tom.delete(f"/api/v1/tokens/{token['id']}").status_code == 200
    assert send(url, ticket) == 401


def test_a_ticket_ends_with_the_role(installation: Any, developer: httpx.Client) -> None:
    url, ticket = first(open_upload(developer))
    members = "/api/v1/p/default/members/dora-parts"
    assert installation.client.put(members, json={"role": "viewer"}).status_code == 200
    assert send(url, ticket) == 403
    assert installation.client.delete(members).status_code == 204
    assert send(url, ticket) == 404


def test_a_ticket_ends_with_its_upload(developer: httpx.Client) -> None:
    opened = open_upload(developer)
    gone = {"path": "f.bin", "upload_id": opened["upload_id"]}
    assert developer.post(f"{PROXY}/mpu/abort/0/any/artifacts/d", json=gone).status_code == 200
    assert send(*first(opened)) == 404


def fields_of(ticket: str) -> list[Any]:
    return list(json.loads(base64.urlsafe_b64decode(ticket.partition(".")[0])))


def later(text: str) -> str:
    """The same ticket with an end that is a year away."""
    fields = fields_of(text)
    fields[-1] += 365 * 24 * HOUR
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
