"""Models from elsewhere in the registry: what was said about them, who trusts them, and what is served when."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from tests.conftest import Installation

from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

SAID = {
    "source": "churn.joblib",
    "sha256": "a" * 64,
    "format": "joblib",
    "runs_code": True,
    "verdict": "not-scannable",
    "findings": ["it imports from sklearn"],
    "scanner": "tilth",
}
API = "/api/v1/p/default"


def document(*, isolated: bool) -> bytes:
    column = Column(name="x", type="double")
    said = ModelDocument(
        flavour="sklearn",
        signature=Signature(inputs=(column,), outputs=(column,)),
        method="predict",
        model_path="model.pkl",
        isolated=isolated,
    )
    return msgspec.json.encode(said)


def opened(client: Any, name: str, *, isolated: bool = True) -> str:
    made = client.post(f"{API}/logged-models", json={"name": name}).json()["id"]
    files = {"model.pkl": b"x", "tilth.json": document(isolated=isolated), "MLmodel": b"flavors: {sklearn: {}}\n"}
    for path, content in files.items():
        digest = {"x-tilth-sha256": hashlib.sha256(content).hexdigest()}
        assert client.put(f"{API}/logged-models/{made}/files/{path}", content=content, headers=digest).is_success
    return str(made)


def registered(client: Any, name: str, said: dict[str, Any]) -> str:
    made = opened(client, name)
    assert client.put(f"{API}/logged-models/{made}/provenance", json=said).is_success
    assert client.post(f"{API}/logged-models/{made}/finalize", json={}).is_success
    assert client.post(f"{API}/models/{name}/versions", json={"logged_model_id": made}).is_success
    return made


def test_what_may_run_code_is_deployed_only_once_a_maintainer_trusts_it(shared_installation: Installation) -> None:
    client = shared_installation.client
    made = registered(client, "provenance-joblib", SAID)
    version = client.get(f"{API}/models/provenance-joblib/versions/1").json()["version"]
    assert "nobody has said that it is trusted" in version["unservable"]
    refused = client.put(f"{API}/deployments/provenance-joblib", json={"model": "provenance-joblib", "version": 1})
    assert refused.status_code == 409
    assert f"tilth model trust {made}" in refused.text

    developer = shared_installation.as_(shared_installation.member("provenance-dev", "developer"))
    denied = developer.post(f"{API}/logged-models/{made}/trust", json={"reason": "looks good"})
    assert denied.status_code == 403
    trusted = client.post(f"{API}/logged-models/{made}/trust", json={"reason": "ours, from 2024"})
    assert (trusted.status_code, trusted.json()["unservable"]) == (200, "")
    assert trusted.json()["provenance"]["trust_reason"] == "ours, from 2024"
    deployed = client.put(f"{API}/deployments/provenance-joblib", json={"model": "provenance-joblib", "version": 1})
    assert deployed.status_code == 200
    actions = [row["action"] for row in client.get(f"{API}/audit").json()["events"]]
    assert {"logged_model.provenance", "logged_model.trusted"} <= set(actions)


def test_what_was_flagged_waits_for_trust_even_if_it_is_said_to_hold_no_code(shared_installation: Installation) -> None:
    said = SAID | {"runs_code": False, "verdict": "flagged", "findings": ["model.pkl would import os.system"]}
    registered(shared_installation.client, "provenance-flagged", said)
    version = shared_installation.client.get(f"{API}/models/provenance-flagged/versions/1").json()["version"]
    assert "flagged it (model.pkl would import os.system)" in version["unservable"]


def test_a_clean_model_is_served_at_once_and_its_provenance_is_told(shared_installation: Installation) -> None:
    said = SAID | {"runs_code": False, "verdict": "clean", "findings": []}
    made = registered(shared_installation.client, "provenance-clean", said)
    view = shared_installation.client.get(f"{API}/logged-models/{made}").json()
    assert (view["unservable"], view["provenance"]["source"]) == ("", "churn.joblib")
    page = shared_installation.client.get("/p/default/models/provenance-clean/versions/1", headers={"accept": "text/html"})
    assert page.status_code == 200


def test_trust_is_not_moved_with_a_model_that_comes_from_another_tilth(shared_installation: Installation) -> None:
    client = shared_installation.client
    made = opened(client, "provenance-moved", isolated=True)
    sealed = client.post(f"{API}/logged-models/{made}/finalize", json={})
    assert sealed.is_success
    view = client.get(f"{API}/logged-models/{made}").json()
    assert f"tilth model trust {made}" in view["unservable"]
    assert (view["provenance"]["verdict"], view["provenance"]["runs_code"]) == ("not-scannable", True)
    assert client.post(f"{API}/logged-models/{made}/trust", json={"reason": "ours"}).json()["unservable"] == ""


def test_a_note_bars_it_whoever_trusts_it(shared_installation: Installation) -> None:
    made = registered(shared_installation.client, "provenance-note", SAID | {"note": "weights without a model"})
    trusted = shared_installation.client.post(f"{API}/logged-models/{made}/trust", json={"reason": "ours"})
    assert trusted.json()["unservable"] == "weights without a model"


def test_a_document_that_would_run_it_in_a_model_server_is_not_sealed(shared_installation: Installation) -> None:
    client = shared_installation.client
    made = opened(client, "provenance-inside", isolated=False)
    client.put(f"{API}/logged-models/{made}/provenance", json=SAID)
    refused = client.post(f"{API}/logged-models/{made}/finalize", json={})
    assert refused.status_code == 400
    assert "lacks `isolated`" in refused.text


def test_nothing_is_said_about_a_sealed_model_and_no_trust_given_to_one_that_was_logged(
    shared_installation: Installation,
) -> None:
    client = shared_installation.client
    made = registered(client, "provenance-sealed", SAID)
    again = client.put(f"{API}/logged-models/{made}/provenance", json=SAID | {"verdict": "flagged"})
    assert again.status_code == 409
    logged = opened(client, "provenance-logged")
    assert client.post(f"{API}/logged-models/{logged}/trust", json={"reason": "ours"}).status_code == 404
    assert client.post(f"{API}/logged-models/{made}/trust", json={"reason": " "}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": "abc"},
        {"source": " "},
        {"verdict": "clean"},
        {"verdict": "harmless"},
        {"findings": ["x" * 501]},
        {"findings": ["x"] * 101},
        {"unknown": 1},
    ],
)
def test_what_contradicts_itself_or_is_too_much_is_refused(shared_installation: Installation, wrong: dict[str, Any]) -> None:
    client = shared_installation.client
    made = client.post(f"{API}/logged-models", json={"name": "provenance-wrong"}).json()["id"]
    refused = client.put(f"{API}/logged-models/{made}/provenance", json=SAID | wrong)
    assert refused.status_code == 400, refused.text


def test_the_card_says_where_an_imported_model_comes_from(shared_installation: Installation) -> None:
    registered(shared_installation.client, "provenance-card", SAID)
    card = shared_installation.client.get(f"{API}/models/provenance-card/versions/1/card").json()
    facts = {
        fact["name"]: fact["value"] for section in card["sections"] if section["key"] == "imported" for fact in section["facts"]
    }
    assert facts["from"] == "churn.joblib (joblib)"
    assert facts["look at it"] == "not-scannable: it imports from sklearn"


def test_a_maintainer_trusts_it_on_its_page(shared_installation: Installation) -> None:
    client = shared_installation.client
    made = registered(client, "provenance-page", SAID)
    page = "/p/default/models/provenance-page/versions/1"
    shown = client.get(page).text
    assert "it imports from sklearn" in shown.lower().replace("&#39;", "'")
    assert "Trust it" in shown
    assert client.post(f"{page}/trust", data={"reason": "ours, from 2024"}).status_code == 303
    assert client.get(f"{API}/logged-models/{made}").json()["provenance"]["trust_reason"] == "ours, from 2024"
    assert "Trust it" not in client.get(page).text
