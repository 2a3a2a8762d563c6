"""Logged models and the registry over HTTP, as a client meets them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import Digest
from tilth.wire.models import CompiledEngine, ModelDocument, Parity
from tilth.wire.signature import Column, Signature

P = "/api/v1/p/default"
MLMODEL = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"
DOCUMENT = ModelDocument(
    flavour="sklearn",
    signature=Signature(inputs=(Column("x", "double"),), outputs=(Column("y", "double"),)),
    method="predict",
    model_path="model.pkl",
    compiled=(CompiledEngine("treelite", "model.tl", Parity(100, 0.5, 1e-6, 9, True, True, False, "outputs differ by 0.5")),),
)
FOLDER = {
    "MLmodel": MLMODEL,
    "tilth.json": msgspec.json.encode(DOCUMENT),
    "model.pkl": b"bytes that no control process ever unpickles",
    "model.tl": b"trees",
    "data/input example.json": b"{}",
}


def put_files(client: httpx.Client, id_: str, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        answer = client.put(f"{P}/logged-models/{id_}/files/{path}", content=data)
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"path": path, "digest": hashlib.sha256(data).hexdigest(), "size": len(data)}


def manifest_digest(files: dict[str, bytes]) -> str:
    return Manifest.of(FileEntry(path, content_address(data), len(data)) for path, data in files.items()).digest


def opened(client: httpx.Client, **fields: object) -> str:
    answer = client.post(f"{P}/logged-models", json=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def log(app_client: httpx.Client) -> Callable[..., str]:
    """log(seed) -> id of a finalised logged model."""

    def make(seed: str = "") -> str:
        files = {**FOLDER, "seed.txt": seed.encode()}
        id_ = opened(app_client, name="m", params={"depth": "7"})
        put_files(app_client, id_, files)
        answer = app_client.post(f"{P}/logged-models/{id_}/finalize", json={"manifest_digest": manifest_digest(files)})
        assert answer.status_code == 200, answer.text
        return id_

    return make


def message_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def test_a_model_is_uploaded_sealed_registered_and_named(app_client: httpx.Client, log: Any) -> None:
    id_ = log()
    view = app_client.get(f"{P}/logged-models/{id_}").json()
    assert (view["status"], view["flavour"], view["unservable"]) == ("ready", "sklearn", "")
    assert view["size"] == sum(len(data) for data in FOLDER.values())
    version = app_client.post(f"{P}/models/flight-delay/versions", json={"logged_model_id": id_})
    assert (version.status_code, version.json()["version"]) == (201, 1)
    aliased = app_client.put(f"{P}/models/flight-delay/aliases/champion", json={"version": 1})
    assert aliased.json()["aliases"] == {"champion": 1}
    assert app_client.get(f"{P}/models/flight-delay/aliases/champion").json()["logged_model_id"] == id_
    detail = app_client.get(f"{P}/models/flight-delay/versions/1").json()
    assert detail["logged_model"]["document"]["model_path"] == "model.pkl"
    assert detail["version"]["aliases"] == ["champion"]


def test_a_sealed_model_refuses_another_file(app_client: httpx.Client, log: Any) -> None:
    answer = app_client.put(f"{P}/logged-models/{log()}/files/more.txt", content=b"x")
    assert answer.status_code == 409
    assert "log the changed model as a new one" in message_of(answer)


def test_finalising_twice_is_harmless_and_another_manifest_is_refused(app_client: httpx.Client, log: Any) -> None:
    id_ = log()
    assert app_client.post(f"{P}/logged-models/{id_}/finalize", json={}).status_code == 200
    other = app_client.post(f"{P}/logged-models/{id_}/finalize", json={"manifest_digest": "0" * 64})
    assert other.status_code == 409
    assert "files arrived" in message_of(other)


NO_MODELS: list[tuple[dict[str, bytes], str]] = [
    ({}, "has no files yet"),
    ({"model.pkl": b"x"}, "no file MLmodel"),
    ({"MLmodel": b"{{{{"}, "is not YAML"),
    ({"MLmodel": b"\xff\xfe\x00"}, "is not YAML"),
    ({"MLmodel": b"a: 1"}, "names no flavors"),
    ({"MLmodel": MLMODEL, "tilth.json": b"{"}, "does not read as a model document"),
    ({"MLmodel": MLMODEL, "tilth.json": msgspec.json.encode(DOCUMENT), "model.pkl": b""}, "names the file 'model.tl'"),
]


def test_a_folder_that_is_no_model_is_refused_and_stays_open(app_client: httpx.Client) -> None:
    for files, said in NO_MODELS:
        id_ = opened(app_client)
        put_files(app_client, id_, files)
        answer = app_client.post(f"{P}/logged-models/{id_}/finalize", json={})
        assert answer.status_code == 400, answer.text
        assert said in message_of(answer)
        put_files(app_client, id_, FOLDER)
        assert app_client.post(f"{P}/logged-models/{id_}/finalize", json={}).status_code == 200


def test_a_folder_written_by_mlflow_alone_is_kept_but_not_served(app_client: httpx.Client) -> None:
    id_ = opened(app_client)
    put_files(app_client, id_, {"MLmodel": MLMODEL, "model.pkl": b"x"})
    view = app_client.post(f"{P}/logged-models/{id_}/finalize", json={}).json()
    assert (view["status"], view["flavour"]) == ("ready", "mlflow")
    assert "log it with tilth.log_model" in view["unservable"]


def test_an_upload_given_up_takes_nothing_more(app_client: httpx.Client) -> None:
    id_ = opened(app_client)
    view = app_client.post(f"{P}/logged-models/{id_}/finalize", json={"status": "failed", "message": "disk full"}).json()
    assert (view["status"], view["status_message"]) == ("failed", "disk full")
    assert app_client.put(f"{P}/logged-models/{id_}/files/a", content=b"").status_code == 409
    assert app_client.post(f"{P}/models/m/versions", json={"logged_model_id": id_}).status_code == 409


def test_bytes_other_than_announced_are_refused_and_not_kept(app_client: httpx.Client) -> None:
    id_ = opened(app_client)
    answer = app_client.put(
        f"{P}/logged-models/{id_}/files/a", content=b"abc", headers={"x-tilth-sha256": content_address(b"abd")}
    )
    assert answer.status_code == 400, answer.text
    assert app_client.get(f"{P}/logged-models/{id_}").json()["files"] == []
    malformed = app_client.put(f"{P}/logged-models/{id_}/files/a", content=b"abc", headers={"x-tilth-sha256": "ABC"})
    assert "X-Tilth-Sha256" in message_of(malformed)


def test_a_file_above_the_bound_is_refused(install: Callable[..., Any]) -> None:
    client = install(max_artifact_bytes=10).client
    id_ = opened(client)
    assert client.put(f"{P}/logged-models/{id_}/files/a", content=b"x" * 11).status_code == 413
    assert client.put(f"{P}/logged-models/{id_}/files/a", content=b"x" * 10).status_code == 201


TRICKS = ("../a", "%2e%2e/a", "a/%2e%2e/b", "a/%2e/b", "a//b", "a/", "a%5cb", "a%00b", "%2fetc/passwd", "a%ff", "x" * 300)


def test_path_like_tricks_are_refused_where_their_plain_twin_is_kept(app_client: httpx.Client) -> None:
    id_ = opened(app_client)
    for path in TRICKS:
        raw = f"{P}/logged-models/{id_}/files/{path}".encode()
        answer = app_client.put(app_client.base_url.copy_with(raw_path=raw), content=b"x")
        assert answer.status_code in (400, 404, 405), (path, answer.text)
        assert app_client.get(f"{P}/logged-models/{id_}").json()["files"] == []
    assert app_client.put(f"{P}/logged-models/{id_}/files/a/b", content=b"x").status_code == 201


def test_files_come_back_as_attachments_whole_or_in_parts(app_client: httpx.Client, log: Any) -> None:
    url = f"{P}/logged-models/{log()}/files/data/input example.json"
    whole = app_client.get(url)
    assert whole.content == b"{}"
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''input%20example.json"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    part = app_client.get(url, headers={"range": "bytes=1-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"}", "bytes 1-1/2")
    assert app_client.get(url, headers={"range": "bytes=-1"}).content == b"}"
    assert app_client.get(url, headers={"range": "bytes=9-"}).status_code == 416
    assert app_client.get(url, headers={"range": "lines=1-2"}).status_code == 200
    assert app_client.get(url, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    assert app_client.get(url + "x").status_code == 404


def test_an_empty_file_is_kept_and_comes_back(app_client: httpx.Client) -> None:
    id_ = opened(app_client)
    put_files(app_client, id_, {"empty": b""})
    answer = app_client.get(f"{P}/logged-models/{id_}/files/empty")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_model_whose_bytes_were_lost_is_not_sealed(installation: Any) -> None:
    client = installation.client
    id_ = opened(client)
    put_files(client, id_, FOLDER)
    digest = Digest(hashlib.sha256(FOLDER["model.tl"]).hexdigest())
    for path in (installation.home / "blobs").rglob(digest):
        path.unlink()
    answer = client.post(f"{P}/logged-models/{id_}/finalize", json={})
    assert answer.status_code == 500
    assert "upload the file again" in message_of(answer)


def test_the_card_shows_facts_and_what_people_have_not_said(app_client: httpx.Client, log: Any) -> None:
    app_client.post(f"{P}/models/m/versions", json={"logged_model_id": log()})
    card = app_client.get(f"{P}/models/m/versions/1/card").json()
    assert card["missing"] == ["intended_use", "out_of_scope", "limits", "ethical_considerations", "contact"]
    assert "its treelite form failed parity" in card["warnings"][0]
    filled = app_client.put(f"{P}/models/m/versions/1/card", json={"fields": {"intended_use": "warn travellers"}}).json()
    assert "intended_use" not in filled["missing"]
    markdown = app_client.get(f"{P}/models/m/versions/1/card.md")
    assert markdown.headers["content-type"].startswith("text/markdown")
    assert "warn travellers" in markdown.text
    assert "*Missing. Where is it known to be wrong or untested?*" in markdown.text
    unknown = app_client.put(f"{P}/models/m/versions/1/card", json={"fields": {"colour": "red"}})
    assert (unknown.status_code, "it has: intended_use" in message_of(unknown)) == (400, True)


def test_a_model_logged_in_a_run_carries_the_facts_of_the_run(app_client: httpx.Client) -> None:
    run = app_client.post(
        f"{P}/runs",
        json={
            "name": "vivid-maple",
            "params": {"learning_rate": "0.1"},
            "environment": {"python": "3.11.9", "git": {"commit": "abc123", "dirty": True}, "entry_point": "train.py"},
        },
    )
    if run.status_code == 404:
        pytest.skip("the runs API is not part of this build")
    assert run.status_code == 201, run.text
    run_id = run.json().get("id") or run.json()["run"]["id"]
    batch = {
        "metrics": [{"key": "auc", "value": 0.717}],
        "inputs": [{"name": "flights", "digest": "d" * 64, "context": "training"}],
    }
    assert app_client.post(f"{P}/runs/{run_id}/log", json=batch).is_success
    id_ = opened(app_client, source_run_id=run_id)
    put_files(app_client, id_, FOLDER)
    app_client.post(f"{P}/logged-models/{id_}/finalize", json={})
    app_client.post(f"{P}/models/m/versions", json={"logged_model_id": id_})
    text = app_client.get(f"{P}/models/m/versions/1/card.md").text
    for fact in ("vivid-maple", "abc123", "train.py", "3.11.9", "0.717", "flights (training)", "learning\\_rate"):
        assert fact in text
    assert [m["id"] for m in app_client.get(f"{P}/logged-models", params={"run_id": run_id}).json()["logged_models"]] == [id_]


def test_an_unknown_run_or_a_foreign_experiment_is_refused(app_client: httpx.Client) -> None:
    answer = app_client.post(f"{P}/logged-models", json={"source_run_id": "f" * 32})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_run")
    answer = app_client.post(f"{P}/logged-models", json={"experiment_id": "f" * 32})
    assert answer.status_code == 404


def test_a_body_that_is_not_as_documented_is_refused(app_client: httpx.Client) -> None:
    for body in ({"nme": "m"}, {"name": 3}, [], {"params": {"a": 1}}):
        assert app_client.post(f"{P}/logged-models", json=body).status_code == 400


def test_names_with_odd_characters_work_percent_encoded(app_client: httpx.Client, log: Any) -> None:
    id_ = log()
    for name, encoded in (("Größe 100%?", "Gr%C3%B6%C3%9Fe%20100%25%3F"), ("a+b&c#d", "a%2Bb%26c%23d")):
        assert app_client.post(f"{P}/models/{encoded}/versions", json={"logged_model_id": id_}).status_code == 201
        assert app_client.get(f"{P}/models/{encoded}").json()["model"]["name"] == name


def test_a_viewer_reads_and_only_a_maintainer_moves_aliases_or_deletes(installation: Any, log: Any) -> None:
    installation.client.post(f"{P}/models/m/versions", json={"logged_model_id": log()})
    viewer = installation.as_(installation.member("vera", "viewer"))
    developer = installation.as_(installation.member("dan", "developer"))
    assert viewer.get(f"{P}/models").json()["total"] == 1
    assert viewer.post(f"{P}/models", json={"name": "x"}).status_code == 403
    assert developer.post(f"{P}/models", json={"name": "x"}).status_code == 201
    assert developer.put(f"{P}/models/m/aliases/champion", json={"version": 1}).status_code == 403
    assert developer.delete(f"{P}/models/m").status_code == 403
    stranger = installation.as_(installation.member("sam", ""))
    assert stranger.get(f"{P}/models").status_code == 404


def test_deleting_and_restoring_over_http(app_client: httpx.Client, log: Any) -> None:
    app_client.post(f"{P}/models/m/versions", json={"logged_model_id": log()})
    assert app_client.delete(f"{P}/models/m/versions/1").status_code == 204
    assert app_client.get(f"{P}/models/m/versions/1").status_code == 404
    assert app_client.post(f"{P}/models/m/versions/1/restore").json()["version"] == 1
    assert app_client.delete(f"{P}/models/m").status_code == 204
    assert app_client.post(f"{P}/models/m/restore").json()["name"] == "m"
    changed = app_client.patch(f"{P}/models/m", json={"name": "m2", "description": "delays", "tags": {"a": "1"}}).json()
    assert (changed["name"], changed["description"], changed["tags"]) == ("m2", "delays", {"a": "1"})
    assert (
        app_client.patch(f"{P}/models/m2/versions/1", json={"tags": {"a": None}, "description": "one"}).json()["description"]
        == "one"
    )
