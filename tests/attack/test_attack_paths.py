"""Paths as weapons: climbing, encodings, control characters, lengths; and file names as headers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from attack_steps import done, raw, statuses

API = "/api/v1/p/default"

CLIMBING = [
    "../token",
    "a/../../token",
    "%2e%2e/token",
    "%2e%2e%2ftoken",
    "..%2ftoken",
    "..%5ctoken",
    "a%5c..%5cb",
    "%2Fetc%2Fpasswd",
    "a//b",
    "a/./b",
    "a/%2e/b",
    "a%00b",
    "a%0d%0aset-cookie:x",
    "a%1b[31m",
    "%ff%fe",
    "%c0%ae%c0%ae/x",
    "%ed%a0%80",
    "x" * 300,
    "x/" * 600 + "y",
    "%C2%85",
]
STRANGE_BUT_LEGAL = [
    "a b.txt",
    "ä/ö.txt",
    "%252e%252e%252ftoken",
    "...",
    "..a",
    "a..",
    "con",
    "~root",
    "$(id)",
    "a;b",
    "%E2%80%AE.txt",
]


@pytest.fixture
def client(tilth_server) -> Iterator[httpx.Client]:
    with tilth_server.client(timeout=30) as client:
        yield client


@pytest.fixture
def run(client) -> str:
    return str(done(client.post(f"{API}/runs", json={}))["id"])


def sent_raw(server, method: str, target: str, body: bytes = b"") -> int:
    """The status of a request whose target no client has tidied."""
    head = f"{method} {target} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nAuthorization: Bearer {server.token}\r\n"
    answer = raw(server.url, f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    return statuses(answer)[0]


def test_no_artifact_path_climbs_and_odd_names_are_only_names(tilth_server, client, run):
    before = {path for path in tilth_server.home.rglob("*") if "blobs" not in path.parts}
    for path in CLIMBING:
        for method in ("PUT", "GET", "DELETE"):
            found = sent_raw(tilth_server, method, f"{API}/runs/{run}/artifacts/{path}", b"x" if method == "PUT" else b"")
            assert found in (400, 404), (method, path, found)
    for path in STRANGE_BUT_LEGAL:
        where = f"{API}/runs/{run}/artifacts/{path.replace(' ', '%20')}".encode().decode("latin-1")
        assert sent_raw(tilth_server, "PUT", "".join(c if ord(c) < 128 else f"%{ord(c):02X}" for c in where), b"x") == 200, path
    kept = [entry["path"] for entry in done(client.get(f"{API}/runs/{run}/artifacts?recursive=true"))["files"]]
    assert "%2e%2e%2ftoken" in kept
    assert len(kept) == len(STRANGE_BUT_LEGAL)
    grown = {path for path in tilth_server.home.rglob("*") if "blobs" not in path.parts} - before
    assert not [path for path in grown if path.parts[-2] not in ("status", "audit", "logs", "predictions")]


def test_no_path_of_a_model_file_climbs(tilth_server, client):
    logged = done(client.post(f"{API}/logged-models", json={"name": "m"}))["id"]
    for path in CLIMBING:
        for method in ("PUT", "GET"):
            found = sent_raw(tilth_server, method, f"{API}/logged-models/{logged}/files/{path}", b"x" if method == "PUT" else b"")
            assert found in (400, 404), (method, path, found)
    assert sent_raw(tilth_server, "PUT", f"{API}/logged-models/{logged}/files/data/MLmodel", b"x") == 201
    assert [file["path"] for file in done(client.get(f"{API}/logged-models/{logged}"))["files"]] == ["data/MLmodel"]


def test_pages_and_static_files_reach_nothing_outside(tilth_server, client, run):
    done(client.put(f"{API}/runs/{run}/artifacts/a.txt", content=b"x"))
    for path in [*CLIMBING, "../../../../../etc/passwd", "tilth.css%00.txt", "..%2f..%2fpages%2frun.py"]:
        for where in (f"/static/x/{path}", f"/p/default/runs/{run}/artifacts/{path}", f"/p/default/runs/{run}/images/{path}"):
            assert sent_raw(tilth_server, "GET", where) in (400, 404), where
    assert sent_raw(tilth_server, "GET", "/static/x/tilth.css") == 200
    assert sent_raw(tilth_server, "GET", f"/p/default/runs/{run}/artifacts/a.txt") == 200


def test_an_address_written_oddly_is_answered_and_never_failed_on(tilth_server, client, run):
    done(client.put(f"{API}/runs/{run}/artifacts/a.txt", content=b"x"))
    for where in (
        f"{API}/runs/{run}/%61rtifacts/a.txt",
        f"{API}/runs/{run}%2Fartifacts/a.txt",
        f"{API}/runs/{run}%2Fartifacts%2Fa.txt",
        f"/{API}/runs/{run}/artifacts/a.txt",
        f"{API}//runs/{run}/artifacts/a.txt",
        f"{API}/runs/%00/artifacts/a.txt",
        f"{API}/logged-models/m%2Ffiles/x",
        "/p/default/../../api/v1/whoami",
        "/p/%2e%2e/api",
        "*",
        "http://127.0.0.1/api/v1/nothing",
    ):
        assert sent_raw(tilth_server, "GET", where) in (400, 404), where
    assert sent_raw(tilth_server, "GET", f"{API}/runs/{run}/artifacts/a.txt") == 200


def test_artifacts_of_a_project_called_artifacts_keep_their_names(client):
    done(client.post("/api/v1/projects", json={"name": "artifacts"}))
    run = done(client.post("/api/v1/p/artifacts/runs", json={}))["id"]
    done(client.put(f"/api/v1/p/artifacts/runs/{run}/artifacts/a/b.txt", content=b"x"))
    assert client.get(f"/p/artifacts/runs/{run}/artifacts/a/b.txt").status_code == 200
    assert done(client.get(f"/api/v1/p/artifacts/runs/{run}/artifacts?path=a"))["files"][0]["path"] == "a/b.txt"


@pytest.mark.parametrize(
    "name", ['a".html', "a%3Bfilename=b.exe", "a%27b", "%E2%80%AEgpj.exe", "ü", "a%2522", "a%250d%250aX-Evil:1"]
)
def test_a_file_name_stays_inside_its_header(client, run, name):
    where = f"{API}/runs/{run}/artifacts/{name}"
    done(client.put(where, content=b"<script>alert(1)</script>", headers={"content-type": "text/html"}))
    answer = client.get(where)
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''")
    assert not set('";\r\n\\ ') & set(disposition.removeprefix("attachment; "))
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-evil" not in answer.headers
    assert answer.content == b"<script>alert(1)</script>"


@pytest.mark.parametrize(
    "kind", ["é/é", "text/html; charset=utf-7", "a/b/c", "x/" + "y" * 5000, "multipart/x-mixed-replace;boundary=x"]
)
def test_a_content_type_is_kept_only_where_it_is_one(client, run, kind):
    where = f"{API}/runs/{run}/artifacts/file.bin"
    done(client.put(where, content=b"+ADw-script+AD4-", headers={"content-type": kind.encode("latin-1")}))
    answer = client.get(where)
    assert answer.status_code == 200
    assert "utf-7" not in answer.headers["content-type"]
    assert answer.headers["content-type"].isascii()
    assert len(answer.headers["content-type"]) < 250
    assert answer.headers["content-disposition"].startswith("attachment")


NINES = "9" * 5000


@pytest.mark.parametrize(
    "header", [f"bytes={NINES}-", f"bytes=0-{NINES}", f"bytes=-{NINES}", "bytes=a-b", "bytes=0-0," * 500, "=", "bytes=5-2"]
)
def test_a_range_that_is_none_never_fails_the_server(client, run, header):
    where = f"{API}/runs/{run}/artifacts/r.bin"
    done(client.put(where, content=b"0123456789"))
    assert client.get(where, headers={"range": header}).status_code in (200, 206, 416)
    assert client.get(where, headers={"range": "bytes=2-4"}).content == b"234"
