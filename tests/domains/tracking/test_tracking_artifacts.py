"""Artifacts over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tilth.backends.sql import blob_use

BASE = "/api/v1/p/default/runs"


@pytest.fixture
def files(app_client: httpx.Client) -> str:
    """Address of the artifacts of a new run."""
    return f"{BASE}/{app_client.post(BASE, json={}).json()['id']}/artifacts"


def claimed(installation: Any, *contents: bytes) -> int:
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return len(installation.system.database.read_blocking(lambda tx: blob_use.claimed(tx, digests)))


def test_bytes_come_back_as_they_were_sent(app_client: httpx.Client, files: str) -> None:
    content = bytes(range(256)) * 5000
    made = app_client.put(f"{files}/model/data.bin", content=content)
    assert made.status_code == 200, made.text
    assert made.json()["digest"] == hashlib.sha256(content).hexdigest()
    answer = app_client.get(f"{files}/model/data.bin")
    assert answer.content == content
    assert answer.headers["etag"] == f'"{made.json()["digest"]}"'


def test_users_files_are_an_attachment_in_a_sandbox(app_client: httpx.Client, files: str) -> None:
    app_client.put(f"{files}/page.html", content=b"<script>alert(1)</script>")
    headers = app_client.get(f"{files}/page.html").headers
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["x-content-type-options"] == "nosniff"


RANGES = [
    ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
    ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    ("bytes=0-99", 200, b"0123456789", None),
    ("bytes=1-2,4-5", 200, b"0123456789", None),
    ("bytes=10-", 416, b"", "bytes */10"),
]


def test_a_range_of_bytes(app_client: httpx.Client, files: str) -> None:
    app_client.put(f"{files}/ten.txt", content=b"0123456789")
    for asked, status, content, place in RANGES:
        answer = app_client.get(f"{files}/ten.txt", headers={"range": asked, "accept-encoding": "identity"})
        assert (asked, answer.status_code, answer.content, answer.headers.get("content-range")) == (asked, status, content, place)


def test_what_the_client_has_already_is_not_sent_again(app_client: httpx.Client, files: str) -> None:
    digest = app_client.put(f"{files}/a.txt", content=b"a").json()["digest"]
    assert app_client.get(f"{files}/a.txt", headers={"if-none-match": f'"{digest}"'}).status_code == 304


def test_folders_are_listed_one_level_at_a_time(app_client: httpx.Client, files: str) -> None:
    for name in ("z.txt", "a/one.txt", "a/b/two.txt", "a-b.txt"):
        app_client.put(f"{files}/{name}", content=b"x")

    def listed(**query: Any) -> list[tuple[str, bool]]:
        return [(f["path"], f["is_dir"]) for f in app_client.get(files, params=query).json()["files"]]

    assert listed() == [("a", True), ("a-b.txt", False), ("z.txt", False)]
    assert listed(path="a") == [("a/b", True), ("a/one.txt", False)]
    assert [path for path, _ in listed(recursive=True)] == ["a-b.txt", "a/b/two.txt", "a/one.txt", "z.txt"]


def test_an_announced_digest_must_be_that_of_the_bytes(app_client: httpx.Client, files: str) -> None:
    right, wrong = hashlib.sha256(b"abc").hexdigest(), hashlib.sha256(b"abd").hexdigest()
    assert app_client.put(f"{files}/a", content=b"abc", headers={"x-tilth-sha256": right}).status_code == 200
    assert app_client.put(f"{files}/b", content=b"abc", headers={"x-tilth-sha256": wrong}).status_code == 400
    assert (
        app_client.put(f"{files}/c", content=b"abc", headers={"x-tilth-sha256": "ABC"}).json()["error"]["code"]
        == "invalid_digest"
    )
    assert [f["path"] for f in app_client.get(files).json()["files"]] == ["a"]


def test_odd_names_are_kept_as_they_are(app_client: httpx.Client, files: str) -> None:
    for name in ("a b.txt", "ü/ß.txt", "100%.txt", "a%2e.txt", "q?x#y.txt", "…"):
        assert app_client.put(f"{files}/{quote(name)}", content=name.encode()).json()["path"] == name
        assert app_client.get(f"{files}/{quote(name)}").content == name.encode()


def test_a_name_is_a_file_or_a_folder(app_client: httpx.Client, files: str) -> None:
    app_client.put(f"{files}/a/b.txt", content=b"x")
    assert app_client.put(f"{files}/a", content=b"x").json()["error"]["code"] == "artifact_clash"
    assert app_client.put(f"{files}/a/b.txt/c", content=b"x").json()["error"]["code"] == "artifact_clash"


def test_replaced_and_removed_bytes_are_let_go(installation: Any, app_client: httpx.Client, files: str) -> None:
    app_client.put(f"{files}/a", content=b"first")
    app_client.put(f"{files}/b", content=b"first")
    app_client.put(f"{files}/a", content=b"second")
    assert claimed(installation, b"first", b"second") == 2
    assert app_client.delete(f"{files}/b").status_code == 204
    assert claimed(installation, b"first", b"second") == 1
    assert app_client.get(f"{files}/b").json()["error"]["code"] == "unknown_artifact"
    (event,) = app_client.get("/api/v1/p/default/audit", params={"words": "artifact.deleted"}).json()["events"]
    assert (event["detail"]["path"], event["detail"]["bytes"]) == ("b", 5)


def test_a_file_above_the_limit_is_refused(install: Any) -> None:
    client = install(max_artifact_bytes=1000).client
    files = f"{BASE}/{client.post(BASE, json={}).json()['id']}/artifacts"
    assert client.put(f"{files}/big", content=b"x" * 1001).status_code == 413
    assert client.put(f"{files}/fits", content=b"x" * 1000).status_code == 200


def test_a_deleted_run_takes_no_artifacts(app_client: httpx.Client, files: str) -> None:
    app_client.delete(files.removesuffix("/artifacts"))
    assert app_client.put(f"{files}/a", content=b"x").json()["error"]["code"] == "run_deleted"
