"""Who may predict what, and how a refusal looks."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tilth.core import clock
from tilth.core.errors import Unavailable
from tilth.plane.admission import InvalidToken, admit
from tilth.plane.answers import Answer
from tilth.plane.state import EMPTY
from tilth.wire.plane import PlaneToken

INSTANCES = {"instances": [[1, 2]]}


def test_a_prediction_names_its_model_version_and_id(client: Any) -> None:
    reply = client.predict(INSTANCES, X_Request_Id="order-7")
    body = reply.json()
    assert reply.status == 200
    assert body["predictions"] == [pytest.approx(3.0)]
    assert (body["model"], body["version"]) == ("sums", "1")
    assert reply.headers["x-prediction-id"] == body["prediction_id"] != "order-7"
    assert reply.headers["x-model-version"] == "1"
    assert reply.headers["x-tilth-engine"]
    assert reply.headers["x-request-id"] == "order-7"


def test_an_address_with_query_or_encoded_letters_is_the_same_address(client: Any) -> None:
    for path in ("/p/demo/deployments/s%75ms/invocations", "/p/demo/deployments/sums/invocations?x=1"):
        assert client.send("POST", path, INSTANCES).status == 200
    assert client.send("POST", "/p/demo/deployments%2Fsums/invocations", INSTANCES).status == 404
    assert client.send("POST", "/p/demo/deployments/%2573ums/invocations", INSTANCES).status == 404


REFUSED: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "no token": ("POST", "sums/invocations", {"Authorization": ""}, 401, "UNAUTHENTICATED"),
    "unknown token": ("POST", "sums/invocations", {"Authorization": "Bearer nobody"}, 401, "UNAUTHENTICATED"),
    "another scheme": ("POST", "sums/invocations", {"Authorization": "Basic tilth_test_token"}, 401, "UNAUTHENTICATED"),
    "no token, unknown deployment": ("POST", "other/invocations", {"Authorization": ""}, 401, "UNAUTHENTICATED"),
    "unknown deployment": ("POST", "other/invocations", {}, 404, "RESOURCE_DOES_NOT_EXIST"),
    "unknown address": ("POST", "sums/elsewhere", {}, 404, "RESOURCE_DOES_NOT_EXIST"),
    "wrong method": ("GET", "sums/invocations", {}, 405, "METHOD_NOT_ALLOWED"),
    "preflight of a browser": ("OPTIONS", "sums/invocations", {"Origin": "http://evil.example"}, 403, "PERMISSION_DENIED"),
    "page of another site": ("POST", "sums/invocations", {"Sec_Fetch_Site": "cross-site"}, 403, "PERMISSION_DENIED"),
    "another origin": ("POST", "sums/invocations", {"Origin": "http://127.0.0.1:1"}, 403, "PERMISSION_DENIED"),
    "text": ("POST", "sums/invocations", {"Content_Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "no content type": ("POST", "sums/invocations", {"Content_Type": ""}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "another charset": (
        "POST",
        "sums/invocations",
        {"Content_Type": "application/json; charset=latin-1"},
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    "compressed": ("POST", "sums/invocations", {"Content_Encoding": "br"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "odd request id": ("POST", "sums/invocations", {"X_Request_Id": "a b"}, 400, "BAD_REQUEST"),
    "odd timeout": ("POST", "sums/invocations", {"X_Timeout_Ms": "soon"}, 400, "BAD_REQUEST"),
    "no timeout at all": ("POST", "sums/invocations", {"X_Timeout_Ms": "0"}, 400, "BAD_REQUEST"),
}


@pytest.mark.parametrize(("method", "path", "headers", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_has_mlflows_shape_and_ours(
    client: Any, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    reply = client.send(method, f"/p/demo/deployments/{path}", INSTANCES if method == "POST" else None, **headers)
    body = reply.json()
    assert (reply.status, body["error_code"]) == (status, code)
    assert body["message"] == body["error"]["message"]
    assert {"kind", "code", "message"} == set(body["error"])
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_charset_of_utf_8_is_accepted(client: Any) -> None:
    assert client.predict(INSTANCES, Content_Type="application/json; charset=UTF-8").status == 200


def test_another_project_looks_like_one_that_does_not_exist(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.tokens.append(PlaneToken(hashlib.sha256(b"foreign").hexdigest(), "other", ("p2",), None))
    home.tokens.append(PlaneToken(hashlib.sha256(b"old").hexdigest(), "old", ("p1",), 1))
    home.tokens.append(PlaneToken(hashlib.sha256(b"fresh").hexdigest(), "fresh", ("p1",), int(clock.now()) + 60_000))
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    client = worker.client()
    foreign = client.predict(INSTANCES, Authorization="Bearer foreign")
    unknown = client.send("POST", "/p/nowhere/deployments/sums/invocations", INSTANCES)
    assert foreign.status == unknown.status == 404
    assert foreign.json()["message"].replace("demo", "nowhere") == unknown.json()["message"]
    assert client.predict(INSTANCES, Authorization="Bearer old").status == 401
    assert client.predict(INSTANCES, Authorization="bearer fresh").status == 200
    client.close()


def test_health_tells_live_and_ready_apart(home: Any, models: Any) -> None:
    worker = home.start()
    client = worker.client()
    assert client.send("GET", "/health/live").status == 200
    assert client.send("GET", "/health/ready", Authorization="").status == 503
    assert client.send("POST", "/health/live").status == 405
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker.wait_for_generation(1)
    assert client.send("GET", "/health/ready", Authorization="").status == 200
    assert client.send("GET", "/p/demo/deployments/sums/ready").json() == {"status": "ok", "generation": 1}
    assert client.send("GET", "/p/demo/deployments/sums/ready", Authorization="").status == 401
    client.close()


def test_nothing_is_admitted_before_the_first_state() -> None:
    with pytest.raises(InvalidToken):
        admit(EMPTY, "POST", b"/p/demo/deployments/sums/invocations", {}, now=clock.now(), draining=False)
    with pytest.raises(Unavailable, match="first state"):
        admit(EMPTY, "GET", b"/health/ready", {}, now=clock.now(), draining=False)
    assert isinstance(admit(EMPTY, "GET", b"/health/live", {}, now=clock.now(), draining=True), Answer)
